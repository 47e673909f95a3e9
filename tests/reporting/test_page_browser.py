"""The page of a report in a browser that is offline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.reporting.render import render
from helpers.synthetic import Build

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (the extra 'browser')")
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program, driver = next(filter(None, found), None), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = Options()
    options.binary_location = program
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking",
                 "disable-component-update", "disable-sync", f"user-data-dir={tmp_path / 'profile'}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.execute_cdp_cmd("Network.enable", {})
    opened.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    yield opened
    errors = opened.get_log("browser")
    opened.quit()
    assert errors == []


@pytest.fixture
def opened(browser: Any, study_builder: Build, tmp_path: Path, no_figures: None) -> Any:
    builder = study_builder()
    builder.fill(range(6), ["vae", "dynamic_vae", "untrained"], pictures=True, rows=60)
    builder.run("beta_vae", 0, {}, status="diverged")
    long = {"a_setting_with_a_long_name": "and_a_value_that_is_long_too", "another_setting": 0.123456}
    builder.run("beta_vae", 1, {"mig": 0.2}, hyper=long)
    page = render(
        builder.study(), tmp_path / "out", claims=[{"id": "C1", "statement": "x " * 60, "verdict": "undecided"}]
    )
    browser.get((page.parent / "report.html").as_uri())
    return browser


def column(browser: Any, heading: str) -> list[float | None]:
    """Values of a column of the table of runs, top to bottom, of rows that can be seen."""
    return browser.execute_script(
        """const table = document.getElementById("table");
        const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.startsWith(arguments[0]));
        return [...table.tBodies[0].rows].filter((row) => row.offsetParent)
          .map((row) => row.cells[at].textContent === "" ? null : Number(row.cells[at].textContent));""",
        heading,
    )


def test_sorting_and_filtering_in_a_browser(opened: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    (heading,) = [e for e in opened.find_elements(By.CSS_SELECTOR, "#table thead th") if e.text.startswith("MIG")]
    before = column(opened, "MIG")
    numbers = sorted(value for value in before if value is not None)
    assert before[: len(numbers)] != numbers
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(opened, "MIG") == [*numbers, None]
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(opened, "MIG") == [*numbers[::-1], None]
    opened.find_element(By.ID, "text").send_keys("dynamic s003")
    assert column(opened, "Seed") == [3]
    assert opened.find_element(By.ID, "count").text == "1 of 20 runs"
    opened.find_element(By.ID, "text").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    Select(opened.find_element(By.ID, "method")).select_by_visible_text("VAE")
    assert len(column(opened, "Seed")) == 6
    Select(opened.find_element(By.ID, "status")).select_by_visible_text("diverged")
    assert column(opened, "Seed") == []
    Select(opened.find_element(By.ID, "method")).select_by_visible_text("all")
    assert column(opened, "Seed") == [0]


def test_the_drawer_by_keyboard_in_a_browser(opened: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    drawer = opened.find_element(By.ID, "drawer")
    rows = opened.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    texts = opened.execute_script("return arguments[0].map((row) => [...row.cells].map((c) => c.textContent))", rows)
    for label, seed, curves, pictures in (("DynamicVAE", "0", 3, 2), ("VAE", "1", 3, 0), ("untrained", "0", 0, 0)):
        (row,) = [row for row, cells in zip(rows, texts, strict=True) if cells[:2] == [label, seed]]
        method = {"DynamicVAE": "dynamic_vae"}.get(label, label.lower())
        button = row.find_element(By.TAG_NAME, "button")
        button.send_keys(Keys.ENTER)
        assert drawer.is_displayed()
        assert opened.find_element(By.ID, "d-run").text.startswith(f"dsprites-{method}-s00{seed}-")
        assert f" --seeds {seed}-{seed} " in opened.find_element(By.ID, "d-command").text
        assert len(drawer.find_elements(By.CSS_SELECTOR, "svg path.curve")) == curves
        assert len(drawer.find_elements(By.CSS_SELECTOR, "svg path.target")) == (method == "dynamic_vae")
        shown = drawer.find_elements(By.TAG_NAME, "img")
        assert len(shown) == pictures
        assert all(opened.execute_script("return arguments[0].naturalWidth", image) > 100 for image in shown)
        paths = [path.get_attribute("d") for path in drawer.find_elements(By.CSS_SELECTOR, "svg path")]
        assert not [path for path in paths if "NaN" in path or "Infinity" in path]
        opened.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert not drawer.is_displayed()
        assert opened.switch_to.active_element == button


def test_narrow_screens_and_themes_in_a_browser(opened: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def colour() -> str:
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    def system(theme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    system("light")
    light, button = colour(), opened.find_element(By.ID, "theme")
    assert button.get_attribute("aria-pressed") == "false"
    system("dark")
    dark = colour()
    assert dark != light
    assert button.get_attribute("aria-pressed") == "true"
    button.send_keys(Keys.ENTER)
    assert (colour(), button.get_attribute("aria-pressed")) == (light, "false")
    button.send_keys(Keys.SPACE)
    assert (colour(), button.get_attribute("aria-pressed")) == (dark, "true")

    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = opened.execute_script(wide)
    assert scroll <= client <= 360
    opened.find_element(By.CSS_SELECTOR, "#table tbody button").send_keys(Keys.ENTER)
    drawer = opened.find_element(By.ID, "drawer")
    assert opened.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", drawer)
