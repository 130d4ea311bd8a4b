# The stages of the patches. `key` changes with the options and the code that decide a stage:
# then Snakemake starts it again.


rule preprocess:
    output:
        done("preprocess"),
    log:
        log_of("preprocess"),
    params:
        scan=SCAN,
        out=OUT,
        patches=patches,
        key=PLAN["keys"]["preprocess"],
    resources:
        mem_mb=megabytes,
        runtime=MINUTES,
    shell:
        "viamachinae patch {params.scan} {params.patches} --out {params.out} --only preprocess --done {output} --log-json > {log} 2>&1"


rule train:
    input:
        done("preprocess"),
    output:
        done("{scan}"),
    log:
        log_of("{scan}"),
    params:
        scan=SCAN,
        out=OUT,
        patches=patches,
        key=[PLAN["keys"]["train"], PLAN["keys"]["score"]],
    resources:
        mem_mb=megabytes,
        runtime=minutes,
        gpu=GPUS,
    shell:
        "viamachinae patch {params.scan} {params.patches} --out {params.out} --only train,score --scan {wildcards.scan} --done {output} --log-json > {log} 2>&1"


rule lines:
    input:
        expand(done("{scan}"), scan=PLAN["scans"], allow_missing=True),
    output:
        done("lines"),
    log:
        log_of("lines"),
    params:
        scan=SCAN,
        out=OUT,
        patches=patches,
        key=PLAN["keys"]["lines"],
    resources:
        mem_mb=megabytes,
        runtime=MINUTES,
    shell:
        "viamachinae patch {params.scan} {params.patches} --out {params.out} --only lines --done {output} --log-json > {log} 2>&1"
