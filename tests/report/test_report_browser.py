"""The page in a real browser, opened from disk: it works, it loads nothing, nothing in it can act.

Needs chromium and chromedriver (`apt-get install chromium chromium-driver`) and selenium; skipped
with the reason where they are missing, a failure with CODEBENCH_REQUIRE_BROWSER=1.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from codebench.languages.verdict import CheckFailure, Outcome, TestReport

pytestmark = pytest.mark.browser

Driver = Any
"""selenium's driver; selenium is not there on every machine that checks types."""

Open = Callable[..., Driver]
"""(page, fragment) -> driver on that page; see `opened`."""


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CODEBENCH_REQUIRE_BROWSER") == "1":
        pytest.fail(f"browser is required here: {reason}", pytrace=False)
    pytest.skip(f"browser: {reason}")


def _start(*, javascript: bool = True) -> Driver:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        _missing("no chromium and chromedriver on this machine")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _missing("no selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument("--window-size=1280,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not javascript:
        setting = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", setting)
    return webdriver.Chrome(options=options, service=Service(str(chromedriver)))


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """Return a running chromium."""
    started = _start()
    yield started
    started.quit()


@pytest.fixture(scope="module")
def plain_driver() -> Iterator[Driver]:
    """Return a running chromium that runs no scripts."""
    started = _start(javascript=False)
    yield started
    started.quit()


@pytest.fixture
def opened(driver: Driver) -> Open:
    """Return a function that opens a page from disk and waits until it is ready."""

    def open_(page: Path, fragment: str = "") -> Driver:
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(page.as_uri() + fragment)
        wait_for(driver, "return document.documentElement.dataset.ready === 'yes'")
        return driver

    return open_


def wait_for(driver: Driver, script: str) -> None:
    """Wait until a script gives true."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda d: d.execute_script(script))


def texts(driver: Driver, selector: str) -> list[str]:
    """Return the texts of the elements, as a script reads them, shown or not."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
    found: list[str] = driver.execute_script(script, selector)
    return found


def press(driver: Driver, keys: str) -> None:
    """Press keys with nothing focused."""
    from selenium.webdriver.common.action_chains import ActionChains

    driver.execute_script("document.activeElement.blur()")
    ActionChains(driver).send_keys(keys).perform()


def fragment(driver: Driver) -> str:
    """Return what the address says of the place."""
    return str(driver.execute_script("return decodeURIComponent(location.hash)"))


def requests(driver: Driver) -> set[str]:
    """Return every address that the browser asked for."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return {
        event["params"]["request"]["url"].partition("#")[0]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_it_opens_from_disk_without_network_and_without_errors(
    which: str, opened: Open, request: pytest.FixtureRequest
) -> None:
    """The only request is for the file itself; the console stays empty."""
    path: Path = request.getfixturevalue(which)
    browser = opened(path)
    assert requests(browser) == {path.as_uri()}
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.querySelectorAll('canvas').length") >= 3


def test_numbers_alone_are_a_page_too(
    opened: Open, three_steps: tuple[Path, ...], make_page: Callable[..., Path], tmp_path: Path
) -> None:
    """One results.json without samples: no error, no chart of one point, the keys still answer."""
    alone = tmp_path / "alone.json"
    alone.write_bytes((three_steps[1] / "results.json").read_bytes())
    browser = opened(make_page(alone))
    press(browser, "n")
    press(browser, "?")
    assert browser.execute_script("return document.getElementById('keys').open") is True
    assert "One step so far" in texts(browser, "#charts")[0]
    assert browser.get_log("browser") == []


def test_hostile_texts_are_texts(opened: Open, hostile_page: Path) -> None:
    """Every hostile sample is shown as it is written, and none of them ran."""
    browser = opened(hostile_page, "#samples?run=1&prompt=small/one")
    seen = ""
    for _ in range(8):
        seen += "".join(texts(browser, "#sample"))
        press(browser, "n")
    for text in (
        "</script><script>window.ran = 1</script>",
        "<img src=x onerror=",
        "⟨U+202E⟩",
        "␛[",
    ):
        assert text in seen
    assert "{{ 7 * 7 }}" in seen
    assert browser.execute_script("return window.ran") is None
    assert texts(browser, "#sample script, #sample img, #sample iframe, #sample svg") == []
    assert browser.get_log("browser") == []


def test_a_megabyte_in_one_line_is_cut(opened: Open, hostile_page: Path) -> None:
    """The beginning of the program is there, the rest is counted."""
    browser = opened(hostile_page, "#samples?run=1&prompt=small/two")
    (code,) = texts(browser, "#sample .code")
    assert "xxxx" in code
    assert "more characters)" in code
    assert len(code) < 21_000


def test_the_policy_stops_injected_scripts(page: Path, tmp_path: Path, driver: Driver) -> None:
    """A script and a handler that somebody wrote into the file do not run; the policy says so."""
    bad = tmp_path / "bad.html"
    injected = "<script>window.ran = 1</script><img src='x' onerror='window.ran = 1'>"
    bad.write_text(page.read_text().replace("</body>", f"{injected}</body>"))
    driver.get(bad.as_uri())
    wait_for(driver, "return document.documentElement.dataset.ready === 'yes'")
    assert driver.execute_script("return window.ran") is None
    said = " ".join(entry["message"] for entry in driver.get_log("browser"))
    assert "Content Security Policy" in said


def test_a_cell_of_the_heat_map_shows_its_samples(opened: Open, page: Path) -> None:
    """A click leads to the samples of that prompt at that step, and the address says so."""
    browser = opened(page)
    selector = ".heat a[href='#samples?run=500&prompt=small/two']"
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    wait_for(browser, "return document.querySelectorAll('#list button').length === 4")
    assert {text[:3] for text in texts(browser, "#list .name")} == {"two"}
    assert "step 500" in texts(browser, "#sample h3")[0]
    assert fragment(browser) == "#samples?run=500&prompt=small/two"


def test_a_bar_of_an_error_shows_the_samples_with_it(opened: Open, page: Path) -> None:
    """The samples behind a count are those with that code, each with the message at its line."""
    browser = opened(page)
    selector = ".counts a[href='#samples?run=500&code=E0308']"
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    wait_for(browser, "return document.querySelectorAll('#list button').length === 3")
    assert "mismatched types" in texts(browser, "#sample .line.wrong + .said.error")[0]
    links = browser.execute_script("return document.querySelector('#sample .said a').href")
    assert links == "https://doc.rust-lang.org/error_codes/E0308.html"


def test_the_first_failed_check_is_told(
    opened: Open,
    write_run: Callable[..., Path],
    make_page: Callable[..., Path],
    make_sample: Callable[..., Any],
) -> None:
    """A sample that fails its tests shows how many passed, the check, and both answers."""
    failure = CheckFailure(check="assert_eq!(one(), 1)", expected="1", got="<b>2</b>", line=2)
    tests = TestReport(planned=5, passed=2, failure=failure)
    sample = make_sample(0, outcome=Outcome.FAILED_TESTS, tests=tests)
    browser = opened(make_page(write_run(9, [sample])))
    (shown,) = texts(browser, "#sample")
    assert "2 of 5 checks passed" in shown
    told = [*texts(browser, ".failure dt"), *texts(browser, ".failure dd")]
    assert told == ["check", "expected", "got", "in line", failure.check, "1", "<b>2</b>", "2"]


def test_the_address_restores_what_was_seen(opened: Open, page: Path) -> None:
    """Filters and the open sample come back from the address alone."""
    place = "#samples?run=500&show=failures&at=500/small/three/2"
    browser = opened(page, place)
    assert len(texts(browser, "#list button")) == 3
    assert texts(browser, "#sample h3") == ["three sample 2, step 500"]
    chosen = "return [...document.querySelectorAll('#filters select')].map((one) => one.value)"
    assert browser.execute_script(chosen) == ["500", "", "failures", ""]
    assert fragment(browser) == place


def test_keys_move_filter_and_help(opened: Open, page: Path) -> None:
    """The keys n and p move, f filters, ? opens the list of keys; the address follows."""
    browser = opened(page, "#samples?run=500")
    press(browser, "n")
    assert texts(browser, "#sample h3") == ["one sample 1, step 500"]
    assert fragment(browser) == "#samples?run=500&at=500/small/one/1"
    press(browser, "p")
    assert texts(browser, "#sample h3") == ["one sample 0, step 500"]
    press(browser, "f")
    assert len(texts(browser, "#list button")) == 3
    press(browser, "?")
    assert browser.execute_script("return document.getElementById('keys').open") is True


def test_a_search_keeps_the_keys_for_typing(opened: Open, page: Path) -> None:
    """Letters typed into the search filter the programs and do nothing else."""
    browser = opened(page, "#samples?run=500")
    press(browser, "/")
    browser.switch_to.active_element.send_keys("fn two")
    wait_for(browser, "return document.querySelectorAll('#list button').length === 4")
    assert fragment(browser).startswith("#samples?run=500&q=fn")


def test_two_steps_stand_side_by_side(opened: Open, page: Path) -> None:
    """The sample that was fixed is found, and the lines that differ are marked."""
    browser = opened(page, "#compare?a=500&b=1000&show=fixed")
    assert texts(browser, "#pairs-count") == ["1 pair"]
    assert texts(browser, "#pair h3") == ["one sample 2"]
    assert texts(browser, "#pair .removed code") == ["    x2\n"]
    assert texts(browser, "#pair .added code") == ["    2\n"]
    assert "no difference from step 500" in texts(browser, "#change")[0]
    assert texts(browser, "#moved button") == ["one3 → 4 of 4"]


def test_the_difference_is_the_longest_common_one(opened: Open, page: Path) -> None:
    """Lines that both programs have stay together when others are put between them."""
    browser = opened(page, "#compare?a=100&b=1000&at=small/one/0")
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#pair .row')].map((row) => row.className)"
    )
    assert rows == ["row equal", "row equal", "row equal", "row"]


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_it_follows_the_system_and_can_be_turned(
    scheme: str,
    bright: bool,  # noqa: FBT001 - a parameter of a test
    opened: Open,
    page: Path,
) -> None:
    """Light or dark as the system says; the button and t turn it."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser = opened(page)
    browser.execute_script("localStorage.clear(); delete document.documentElement.dataset.theme")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    script = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128"
    assert browser.execute_script(script) is bright
    press(browser, "t")
    assert browser.execute_script(script) is not bright
    browser.find_element("id", "theme").click()
    assert browser.execute_script(script) is bright
    browser.execute_script("localStorage.clear()")


def test_a_phone_scrolls_down_only(opened: Open, page: Path) -> None:
    """At 390 points nothing but tables and code is wider than the screen."""
    browser = opened(page, "#samples?run=500")
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_tables_need_no_script(plain_driver: Driver, page: Path) -> None:
    """Without JavaScript the numbers, the tables and the warnings are seen, the rest is hidden."""
    plain_driver.get(page.as_uri())
    shown = plain_driver.find_element("tag name", "body").text.replace("\u202f", " ")
    assert "83 % compile" in shown
    assert "12 samples are few" in shown
    assert "mismatched types" in shown
    assert "tables above need none" in shown
    cells = plain_driver.find_elements("css selector", ".heat td")
    assert [cell.text for cell in cells[:3]] == ["0/4", "3/4", "4/4"]
    assert not plain_driver.find_element("id", "theme").is_displayed()
    assert not plain_driver.find_element("id", "filters").is_displayed()


def test_compressed_samples_are_unpacked(
    opened: Open,
    write_run: Callable[..., Path],
    make_page: Callable[..., Path],
    make_sample: Callable[..., Any],
) -> None:
    """A page of 1,600 samples carries them packed, shows all, and opens the last."""
    noise = [make_sample(n, program=f"fn f() -> u32 {{\n    {n**9}\n}}\n" * 9) for n in range(1600)]
    path = make_page(write_run(9, noise))
    assert '{"gzip":"' in path.read_text()
    browser = opened(path, "#samples?at=9/small/one/533")
    assert texts(browser, "#samples-count") == ["1600 samples"]
    assert texts(browser, "#sample h3") == ["one sample 533, step 9"]
    assert str(1599**9) in texts(browser, "#sample .code")[0]
