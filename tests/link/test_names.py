"""Names of candidates."""

from __future__ import annotations

import re

import numpy as np

from viamachinae.link.names import candidate_names


def test_names_are_cut_off_signed_and_safe() -> None:
    ra = np.array([153.249, 0.0, 359.99, 15.0])
    dec = np.array([23.7599, -0.01, -89.999, 0.0])
    names = candidate_names(
        ra, dec, np.array([-4.06, 0.04, 12.34, -0.04]), np.array([-12.34, -0.04, 100.0, 5.0])
    )
    assert names == [
        "VM_J1012+2345_pm-04.1-12.3",
        "VM_J0000-0000_pm+00.0+00.0",
        "VM_J2359-8959_pm+12.3+100.0",
        "VM_J0100+0000_pm+00.0+05.0",
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_.+-]+", name) for name in names)


def test_equal_names_are_told_apart_by_rank() -> None:
    same = np.full(3, 10.0)
    assert candidate_names(same, same, same, same) == [
        "VM_J0040+1000_pm+10.0+10.0",
        "VM_J0040+1000_pm+10.0+10.0_2",
        "VM_J0040+1000_pm+10.0+10.0_3",
    ]
