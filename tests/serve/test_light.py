"""Without the extra the command names it; other tests of import times are in `test_layering`."""

import sys

from swt_time.cli import run


def test_a_missing_extra_is_named(models, monkeypatch, capsys):
    for name in [one for one in sys.modules if one.split(".")[0] in ("fastapi", "uvicorn")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("fastapi", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(["serve", "--model", str(models / "demand"), "--port", "0"]) == 1
    assert "pip install 'swt-time[serve]'" in capsys.readouterr().err
