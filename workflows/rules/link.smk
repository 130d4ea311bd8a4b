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
        report(OUT / "index.html", caption="../report/page.rst", category="Report"),
    log:
        OUT / "workflow" / "logs" / "link.log",
    params:
        scan=SCAN,
        out=OUT,
        key=[PLAN["keys"]["link"], PLAN["keys"]["inspect"]],
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
    shell:
        "viamachinae link {params.scan} --out {params.out} --log-json > {log} 2>&1"
