# The stages of the patches. `key` changes with the stars, the options and the code that decide a
# stage: then Snakemake starts it again, and what takes its output after it.


rule preprocess:
    localrule: DOWNLOADS
    output:
        done("preprocess"),
    log:
        log_of("preprocess"),
    params:
        scan=SCAN,
        out=OUT,
        patches=patches,
        key=[PLAN["source"], PLAN["keys"]["preprocess"]],
    resources:
        mem_mb=megabytes,
        runtime=short,
        archive=int(DOWNLOADS),
    shell:
        work("preprocess")


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
        work("train,score --scan {wildcards.scan}")


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
        runtime=short,
    shell:
        work("lines")
