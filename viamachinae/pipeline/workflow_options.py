"""What the options ask for that a user hands on to Snakemake."""

from __future__ import annotations

from collections.abc import Sequence

# With these, by their names in its parser, Snakemake runs no job.
_IDLE = (
    "dryrun",
    "touch",
    "unlock",
    "lint",
    "list_rules",
    "list_target_rules",
    "dag",
    "rulegraph",
    "filegraph",
    "d3dag",
    "summary",
    "detailed_summary",
    "list_changes",
    "list_input_changes",
    "list_params_changes",
    "list_untracked",
    "report",
    "archive",
    "cleanup_metadata",
    "cleanup_shadow",
    "delete_all_output",
    "delete_temp_output",
    "generate_unit_tests",
    "containerize",
    "export_cwl",
    "print_compilation",
)


def is_idle(extra: Sequence[str]) -> bool:
    """Whether Snakemake, with these options, runs no job."""
    from snakemake.cli import get_argument_parser

    asked, _ = get_argument_parser().parse_known_args(list(extra))
    return any(vars(asked).get(name) not in (None, False) for name in _IDLE)


def split_config(extra: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values of --config among the options, and the others."""
    if "--config" not in extra:
        return [], list(extra)
    first = list(extra).index("--config")
    stop = first + 1
    while stop < len(extra) and not extra[stop].startswith("-"):
        stop += 1
    return list(extra[first + 1 : stop]), [*extra[:first], *extra[stop:]]
