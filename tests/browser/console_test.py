"""Drives a headless Chromium through the console and Swagger UI of a running service.

usage: console_test.py BASE_URL OUTPUT_FOLDER

Needs selenium, and chromium and chromedriver on the path. Screenshots go to the output folder. Exits with 1 at the
first expectation that does not hold.
"""

import json
import re
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_SECONDS = 60
LAPTOP = (1280, 720)
LARGER = (1440, 900)
QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


class Browser:
    """A Chromium with an empty profile, and what the checks ask of it."""

    def __init__(self, base, output):
        self.base = base.rstrip("/")
        self.output = output
        self.folder = tempfile.TemporaryDirectory()
        self.downloads = Path(self.folder.name, "downloads")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for argument in [*QUIET, f"--user-data-dir={self.folder.name}/profile"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))
        self.size(LAPTOP)
        self.theme("light")

    def close(self):
        self.driver.quit()
        self.folder.cleanup()

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def size(self, size):
        self.command(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def theme(self, name):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, path):
        self.driver.get(self.base + path)

    def find(self, selector):
        """The first visible element; waits for it."""
        return self.until(
            lambda: next((e for e in self.all(selector) if e.is_displayed()), None), f"{selector} is shown"
        )

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def button(self, text):
        return self.until(
            lambda: next((e for e in self.all("button, a.button") if e.text == text), None), f"a button {text!r}"
        )

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def until(self, condition, what):
        wait = WebDriverWait(self.driver, PATIENCE_SECONDS, 0.05, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition(), f"waited in vain until {what}")

    def screenshot(self, name):
        self.driver.save_screenshot(str(self.output / name))

    def console_errors(self):
        """What the page complained about since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requested(self):
        """All addresses that pages asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def expect(holds, what):
    if not holds:
        raise AssertionError(what)


def foreign_requests(browser):
    """What was asked for outside the service, the page itself and the browser's own pages (the tab it starts with)."""
    own = (browser.base + "/", "blob:", "data:", "chrome:", "chrome-untrusted:")
    return [url for url in browser.requested() if not url.startswith(own)]


def dsc_pair(text):
    """The two numbers of `DSC 0.98 → 0.08`."""
    found = re.search(r"DSC (\d\.\d+) → (\d\.\d+)", text)
    expect(found, f"no pair of DSCs in {text!r}")
    return float(found[1]), float(found[2])


def the_page_loads_without_complaints_or_foreign_requests(browser):
    browser.open("/")
    browser.until(lambda: len(browser.all("#samples img")) > 0, "the samples are listed")
    browser.until(
        lambda: all(image.get_property("naturalWidth") for image in browser.all("#samples img")), "thumbnails load"
    )
    expect(browser.console_errors() == [], "the page complains on loading")
    foreign = foreign_requests(browser)
    expect(foreign == [], f"the page asks for foreign addresses: {foreign}")
    expect("pgd" in [option.get_attribute("value") for option in browser.all("#method option")], "PGD is offered")
    expect(
        browser.find("[data-pointer='/spec/attack/steps'] input").get_attribute("value") == "40", "defaults are shown"
    )
    browser.screenshot("console-start.png")


def what_is_missing_is_said_at_the_field(browser):
    browser.find("#attack").click()
    message = browser.find("[data-pointer='/image'] .field-error")
    focused = browser.driver.switch_to.active_element.get_attribute("id")
    expect("choose" in message.text, f"the missing image is explained, not {message.text!r}")
    expect(focused == "file-image", f"the first field with a message has the focus, not {focused}")


def a_wrong_file_is_explained_at_its_field(browser):
    wrong = Path(browser.folder.name, "notes.png")
    wrong.write_text("this is no picture")
    browser.all("#file-image")[0].send_keys(str(wrong))
    browser.find("#prompt").send_keys("lungs")
    browser.find("#attack").click()
    browser.until(lambda: not browser.all("#attack:disabled"), "the service has answered")
    message = browser.find("[data-pointer='/image'] .field-error").text
    expect(len(message) > 10 and "choose" not in message, f"the service explains the wrong file, not {message!r}")
    complaints = browser.console_errors()
    expect(
        all("/attacks" in one and "status of 4" in one for one in complaints), f"unexpected complaints: {complaints}"
    )


def an_attack_shows_its_progress_and_lowers_the_dsc(browser):
    browser.script("document.querySelector('[name=sample][value=lungs]').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.SPACE)
    browser.until(lambda: "lungs.png" in browser.find("[data-pointer='/image']").text, "the sample is chosen")
    expect(browser.find("#prompt").get_attribute("value") == "lungs", "the sample brings its prompt")
    browser.script("""
        window.seen = new Set();
        new MutationObserver(() => {
          const facts = document.querySelector(".progress-facts")?.textContent ?? "";
          const [, point] = /point (\\d+) of/.exec(facts) ?? [];
          if (point) window.seen.add(Number(point));
        }).observe(document.getElementById("page"), { subtree: true, childList: true, characterData: true });
    """)
    browser.find("#prompt").send_keys(Keys.CONTROL, Keys.ENTER)
    browser.until(
        lambda: browser.script("return window.seen.size") >= 3 or browser.all(".verdict"), "progress is shown"
    )
    browser.screenshot("console-running.png")
    before, after = dsc_pair(browser.find(".verdict").text)
    expect(browser.script("return window.seen.size") >= 3, "several points were shown while the attack ran")
    expect(after < before - 0.2, f"the DSC falls, not {before} → {after}")
    cells = [cell.text for cell in browser.all(".scores tbody tr:first-child td")][:3]
    expect(abs(float(cells[0]) - before) < 0.01 and cells[2].startswith("−"), f"the table agrees, not {cells}")
    return after


def the_pictures_are_compared_by_keyboard(browser):
    stage = browser.find(".stage")
    browser.until(
        lambda: all(image.get_property("naturalWidth") for image in browser.all(".stage img")), "pictures load"
    )
    stage.send_keys(Keys.ARROW_LEFT * 5)
    expect(stage.get_attribute("aria-valuenow") == "40", "five steps to the left move the divider by ten percent")
    stage.send_keys(Keys.END)
    expect(stage.get_attribute("aria-valuenow") == "100", "End shows the left picture only")
    stage.send_keys(Keys.HOME, Keys.PAGE_UP * 5)
    transform = "return [...document.querySelectorAll('.content')].map((one) => one.style.transform)"
    at_first = browser.script(transform)
    stage.send_keys("+" * 5)
    enlarged = browser.script(transform)
    expect(enlarged[0] == enlarged[1] != at_first[0], "both pictures are enlarged alike")
    expect(len(browser.all(".content.pixels")) == 2, "large pixels have edges")
    stage.send_keys(Keys.SHIFT + Keys.ARROW_LEFT)
    expect(browser.script(transform)[0] != enlarged[0], "Shift with an arrow moves the picture")
    stage.send_keys(Keys.NULL, "0")
    expect(browser.script(transform) == at_first, "0 shows all again")
    paths = browser.script(
        "return [...document.querySelectorAll('.pane .mask-line')].map((one) => one.getAttribute('d').length)"
    )
    expect(len(paths) == 6 and min(paths[:2]) > 100, f"the masks are outlined, not {paths}")
    browser.script("document.activeElement.blur()")
    browser.screenshot("console.png")


def the_zip_downloads(browser, dsc):
    browser.button("Download").click()
    browser.until(lambda: list(browser.downloads.glob("*.zip")), "the zip is there")
    with zipfile.ZipFile(next(browser.downloads.glob("*.zip"))) as archive:
        names = set(archive.namelist())
        expect(
            {"adversarial.png", "perturbation.png", "result.json", "manifest.json"} <= names,
            f"files are missing: {names}",
        )
        result = json.loads(archive.read("result.json"))
    expect(abs(result["adversarial_file"]["dsc"] - dsc) < 0.006, "the file has the DSC that was shown")


def a_rerun_gives_the_same_bytes(browser):
    first = browser.driver.current_url
    browser.button("Run again").click()
    browser.until(lambda: browser.driver.current_url != first, "another job is shown")
    found = browser.find(".same, .differs")
    expect(found.text.startswith("Same bytes"), found.text)


def a_deep_link_survives_a_reload(browser):
    address = browser.driver.current_url
    expect("#/attacks/" in address, f"the address names the job, not {address}")
    before = dsc_pair(browser.find(".verdict").text)
    browser.driver.refresh()
    expect(dsc_pair(browser.find(".verdict").text) == before, "the same result is shown")
    browser.find(".stage")
    browser.find("#tab-jobs").click()
    browser.until(lambda: len(browser.all("#job-list a")) >= 2, "both jobs are listed")
    expect(len(browser.all("#job-list [aria-current]")) == 1, "the job that is shown is marked")
    browser.find("#tab-new").click()


def the_dark_theme_is_dark(browser):
    ground = lambda: sum(
        map(int, re.findall(r"\d+", browser.script("return getComputedStyle(document.body).backgroundColor"))[:3])
    )
    expect(ground() > 600, "the light theme is light")
    browser.theme("dark")
    browser.size(LARGER)
    browser.until(lambda: ground() < 150, "the page follows the system")
    browser.find(".stage")
    browser.until(
        lambda: all(image.get_property("naturalWidth") for image in browser.all(".stage img")), "pictures load"
    )
    browser.screenshot("console-dark.png")
    browser.find("#theme").click()
    expect(ground() > 600, "a chosen theme comes before the system's")
    browser.script("localStorage.clear()")
    browser.theme("light")
    browser.size(LAPTOP)


def the_console_had_nothing_to_complain(browser):
    expect((found := browser.console_errors()) == [], f"complaints: {found}")
    foreign = foreign_requests(browser)
    expect(foreign == [], f"foreign addresses: {foreign}")


def swagger_ui_submits_its_example(browser):
    browser.size(LARGER)
    browser.open("/docs/")
    operation = "//div[contains(@class,'opblock-post')][.//*[@data-path='/attacks']]"
    inside = lambda path: browser.until(
        lambda: next(iter(browser.driver.find_elements(By.XPATH, operation + path)), None), f"Swagger UI shows {path}"
    )
    inside("//button[contains(@class,'opblock-summary-control')]").click()
    media = inside("//select[@aria-label='Request content type']")
    media.send_keys("application/json")
    inside("//textarea[contains(@class,'body-param__text')]")
    execute = inside("//button[contains(@class,'execute')]")
    browser.script("arguments[0].scrollIntoView({ block: 'center' })", execute)
    execute.click()
    status = inside(
        "//table[contains(@class,'live-responses-table')]/tbody//td[contains(@class,'response-col_status')]"
    )
    browser.script("arguments[0].scrollIntoView({ block: 'start' })", execute)
    browser.screenshot("swagger.png")
    expect(status.text.startswith("200"), f"the example waits for its end and gets it, not {status.text}")
    expect(
        not [one for one in browser.console_errors() if "Content Security Policy" in one],
        "the policy allows Swagger UI",
    )


def main():
    base, output = sys.argv[1], Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    browser = Browser(base, output)
    began = time.monotonic()

    def check(part, *arguments):
        answer = part(browser, *arguments)
        print(f"{time.monotonic() - began:5.1f} s  {part.__name__.replace('_', ' ')}", flush=True)
        return answer

    try:
        check(the_page_loads_without_complaints_or_foreign_requests)
        check(what_is_missing_is_said_at_the_field)
        check(a_wrong_file_is_explained_at_its_field)
        dsc = check(an_attack_shows_its_progress_and_lowers_the_dsc)
        check(the_pictures_are_compared_by_keyboard)
        check(the_zip_downloads, dsc)
        check(a_rerun_gives_the_same_bytes)
        check(a_deep_link_survives_a_reload)
        check(the_dark_theme_is_dark)
        check(the_console_had_nothing_to_complain)
        check(swagger_ui_submits_its_example)
    except Exception:  # whatever it is, the screenshot helps to find it
        traceback.print_exc()
        browser.screenshot("failure.png")
        sys.exit(1)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
