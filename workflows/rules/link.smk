# Above the patches.


rule link:
    input:
        linkable,
    output:
        report(
            OUT / "candidates.ecsv",
            caption="../report/candidates.rst",
            category="Candidates",
        ),
        OUT / "members.parquet",
        touch(LINKED),
    log:
        OUT / "workflow" / "logs" / "link.log",
    params:
        scan=SCAN,
        out=OUT,
        key=PLAN["keys"]["link"],
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    shell:
        "viamachinae link {params.scan:q} --out {params.out:q} --no-report --log-json > {log:q} 2>&1"


rule inspect:
    input:
        OUT / "candidates.ecsv",
        OUT / "members.parquet",
    output:
        report(OUT / "index.html", caption="../report/page.rst", category="Report"),
    log:
        OUT / "workflow" / "logs" / "inspect.log",
    params:
        out=OUT,
        key=PLAN["keys"]["inspect"],
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    shell:
        "viamachinae inspect {params.out:q} --static > {log:q} 2>&1"
