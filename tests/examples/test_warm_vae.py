from pathlib import Path

from bench.testing import parametrize_with_checks


@parametrize_with_checks(Path(__file__).with_name("warm_vae.py"))
def test_contract(name, check):
    check(name)
