"""Stars to other programs by SAMP (IVOA recommendation 1.3), as TOPCAT and Aladin take them."""

from __future__ import annotations

from pathlib import Path

from viamachinae.errors import BadInputError, install_extra

MTYPE = "table.load.votable"


def send_votable(path: Path, name: str) -> list[str]:
    """Tell all programs at the SAMP hub that take tables to load a VOTable.

    They read the file themselves, and tell no one how that went.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What the programs are to call the table.

    Returns
    -------
    list of str
        The names of the programs.

    Raises
    ------
    BadInputError
        If pyvo is not installed, no hub runs, or no program there takes tables.
    """
    try:
        from pyvo.samp import SAMPHubError, SAMPIntegratedClient
    except ImportError:
        raise BadInputError(
            "sending by SAMP needs pyvo 1.9 or later; install it with " + install_extra("samp")
        ) from None
    # It only speaks, and so opens no port to be spoken to.
    client = SAMPIntegratedClient("viamachinae", "Stellar streams in Gaia data", callable=False)
    try:
        client.connect()
    except (SAMPHubError, OSError):
        raise BadInputError("no SAMP hub runs here; start TOPCAT or Aladin, then send") from None
    try:
        if not client.get_subscribed_clients(MTYPE):
            raise BadInputError(
                "no program at the SAMP hub takes tables; start TOPCAT or Aladin, then send"
            )
        where = {"url": path.resolve().as_uri(), "table-id": name, "name": name}
        takers = client.notify_all({"samp.mtype": MTYPE, "samp.params": where})
        return [str(client.get_metadata(one).get("samp.name", one)) for one in takers]
    finally:
        client.disconnect()
