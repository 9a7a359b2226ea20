"""The strip's panels in a real JupyterLab: every number said is the model's, and words go on."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from scipy.special import log_softmax

from e2e.saved import opened
from e2e.test_accessibility import AXE, RULES
from e2e.views import EXPLORER, STRIP, view
from glasshead import Lens, PerplexityStrip, fit_lens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from e2e.lab import LabServer, Notebook
    from glasshead import FittedLens

TEXT = "The keeper saw the whale and the whale saw the keeper, and the night was long and calm."
BEFORE = "Stubb saw the boat. "
FITTED_ON = ["The whale swam away.", "The sea was dark and cold.", "The ship was lost at sea."]
SETUP = f"""\
from glasshead import Lens, PerplexityStrip, explore

lens = Lens.demo("decoder")
trace = lens.trace({TEXT!r})
strip = PerplexityStrip(trace)
strip"""
EXPLORED = """\
explorer = explore(trace, panes=["lines", "strip"], strip_reading="distribution", selected=[5])
explorer"""
COMPARED = f"""\
compared = PerplexityStrip(trace, compare=lens.trace({BEFORE + TEXT!r}))
compared"""
LOW = 'low = PerplexityStrip(trace, reading="layers", selected=[5], height=420)\nlow'

_VIOLATIONS = """async ([where, runOnly]) => {
  const { violations } = await axe.run(where, { runOnly, resultTypes: ['violations'] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    cells = [SETUP, EXPLORED, COMPARED, LOW]
    notebook = open_notebook(lab.add_notebook("strip_readings.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture(scope="module")
def model() -> Any:
    """The model, in double precision."""
    return copy.deepcopy(Lens.demo("decoder").model).double().eval()


@pytest.fixture
def strip(notebook: Notebook) -> Locator:
    notebook.kernel_run(
        "strip.set(reading='', selected=[], temperature=1.0, sample_k=0, sample_p=1.0); "
        "strip.trace = trace"
    )
    return view(notebook.output(0), STRIP)


def ids_of(text: str) -> list[int]:
    return Lens.demo("decoder").trace(text).sequences[0].ids


def own_logs(model: Any, text: str = TEXT) -> np.ndarray:
    """Log-probabilities of every token of a text, in double precision: row i is of token i + 1."""
    with torch.no_grad():
        return log_softmax(model(torch.tensor([ids_of(text)])).logits[0].numpy(), axis=-1)


def layer_logs(model: Any, position: int) -> np.ndarray:
    """What the model's own last norm and head make of each block's output."""
    outputs: list[torch.Tensor] = []

    def keep(_module: Any, _given: Any, output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [block.register_forward_hook(keep) for block in model.model.layers]
    with torch.no_grad():
        model(torch.tensor([ids_of(TEXT)]))
        logits = [model.lm_head(model.model.norm(out))[0, position - 1] for out in outputs]
    for hook in hooks:
        hook.remove()
    return log_softmax(torch.stack(logits).numpy(), axis=-1)


def share(words: str) -> float:
    """A share as it is written, "12.3 %"."""
    return float(words.removesuffix(" %").removeprefix("< ").removeprefix("> ")) / 100


def pin(strip: Locator, position: int) -> None:
    strip.locator(f'.gh-strip-main [data-position="{position}"]').first.click()


def read(strip: Locator, reading: str) -> None:
    strip.locator(f'[data-action="reading"] [data-value="{reading}"]').click()


def test_the_layers_of_a_token_are_those_of_the_model(
    strip: Locator, notebook: Notebook, model: Any
) -> None:
    read(strip, "layers")
    expect(strip.locator(".gh-strip-reading-content")).to_contain_text("Pin a token of the text")
    n_values = 0
    for position in (3, 5, 8, 12):
        pin(strip, position)
        expect(strip.locator(".gh-strip-reading-title")).to_contain_text(f"at token {position},")
        rows = strip.locator(".gh-strip-rows tbody tr")
        expect(rows).to_have_count(2)
        expect(strip.locator(".gh-strip-reading-content")).not_to_have_attribute(
            "aria-busy", "true"
        )
        own = np.exp(layer_logs(model, position))
        true = ids_of(TEXT)[position]
        answered = "[r.rank.tolist(), r.surprisal.neg().exp().tolist()]"
        answer = notebook.kernel_eval(f"(lambda r: {answered})(trace.layer_readings({position}))")
        for layer, row in enumerate(rows.all()):
            _, first, rank, probability = row.locator("td").all_text_contents()
            found = [share(first), float(rank.replace(",", "")), share(probability)]
            expected = [
                own[layer].max(),
                1 + (own[layer] > own[layer, true]).sum(),
                own[layer, true],
            ]
            np.testing.assert_allclose(found, expected, rtol=0.01, atol=5.1e-4)
            np.testing.assert_allclose(answer[1][layer], own[layer, true], rtol=1e-3)
            assert answer[0][layer] == expected[1]
            n_values += len(found)
    assert n_values >= 20


FIT = f"""\
from glasshead import fit_lens
jacobian = fit_lens(lens, {FITTED_ON!r}, "jacobian", n_samples=1)
strip.read_by(jacobian)
def first_layer(position):
    kept = []
    def keep(_module, _given, output):
        kept.append(output[0] if isinstance(output, tuple) else output)
    hook = lens.model.model.layers[0].register_forward_hook(keep)
    import torch
    with torch.no_grad():
        lens.model(torch.tensor([trace.sequences[0].ids]))
        hook.remove()
        state = kept[0].reshape(-1, 192)[position - 1]
        state = state + jacobian.change[0] @ state + jacobian.bias[0]
        p = lens.model.lm_head(lens.model.model.norm(state)).softmax(-1)
    true = trace.tokens[position].id
    return [p.max().item(), 1 + int((p > p[true]).sum()), p[true].item()]"""


def test_layers_are_read_by_a_fitted_lens_chosen_by_key(
    strip: Locator, notebook: Notebook, model: Any
) -> None:
    notebook.kernel_run(FIT)
    read(strip, "layers")
    pin(strip, 8)
    said = strip.locator(".gh-strip-read-by")
    expect(said).to_have_text("Read by the Jacobian lens, fitted on 2 texts.")
    first_row = strip.locator('.gh-strip-rows tr[data-layer="0"] td')

    def shown() -> list[float]:
        _, first, rank, probability = first_row.all_text_contents()
        return [share(first), float(rank.replace(",", "")), share(probability)]

    expected = notebook.kernel_eval("first_layer(8)")
    np.testing.assert_allclose(shown(), expected, rtol=0.01, atol=5.1e-4)
    strip.locator('[data-action="reading-lens"] [data-value="jacobian"]').focus()
    notebook.page.keyboard.press("ArrowLeft")
    notebook.page.keyboard.press("Enter")
    expect(said).to_have_text("Read by the logit lens.")
    own, true = np.exp(layer_logs(model, 8))[0], ids_of(TEXT)[8]
    by_hand = [own.max(), 1 + (own > own[true]).sum(), own[true]]
    np.testing.assert_allclose(shown(), by_hand, rtol=0.01, atol=5.1e-4)
    assert notebook.kernel_eval("strip.reading_lens") == ""
    notebook.kernel_run("strip.read_by()")
    expect(strip.locator('[data-action="reading-lens"] [data-value]')).to_have_count(0)


def test_the_distribution_opens_by_keyboard_and_is_the_models(
    strip: Locator, notebook: Notebook, model: Any
) -> None:
    token = strip.locator('.gh-strip-main [data-position="5"]').first
    strip.locator(".gh-strip-scroller").focus()
    notebook.kernel_run("strip.selected = [5]")
    expect(token).to_have_class(re.compile("is-selected"))
    strip.locator('[data-action="reading"] [data-value=""]').focus()
    notebook.page.keyboard.press("End")
    expect(strip.locator('[data-action="reading"] [data-value="distribution"]')).to_be_focused()
    notebook.page.keyboard.press("Enter")
    rows = strip.locator(".gh-strip-choice")
    expect(rows).to_have_count(200)
    logs = own_logs(model)[4]
    order = np.argsort(-logs, kind="stable")
    said = [share(row.locator(".gh-strip-bar-value").inner_text()) for row in rows.all()[:20]]
    np.testing.assert_allclose(said, np.exp(logs[order[:20]]), atol=5.1e-4, rtol=0.01)
    answer = notebook.kernel_eval("trace.distribution(5).to_frame()['probability'][:20].tolist()")
    np.testing.assert_allclose(answer, np.exp(logs[order[:20]]), rtol=1e-3)
    # Sampling at half the temperature keeps what reaches 0.9 of the mass.
    notebook.kernel_run("strip.set(temperature=0.5, sample_p=0.9)")
    cold = np.sort(np.exp(log_softmax(logs / 0.5)))[::-1]
    n_kept = 1 + int(np.searchsorted(np.cumsum(cold), 0.9))
    words = strip.locator(".gh-strip-said").first
    expect(words).to_contain_text(f"keeps {n_kept} token")
    mass = re.search(r": ([\d.]+ %) of", words.inner_text())
    assert mass is not None
    assert share(mass[1]) == pytest.approx(cold[:n_kept].sum(), abs=6e-4)


def test_a_comparison_says_the_difference_of_the_models(notebook: Notebook, model: Any) -> None:
    shown = view(notebook.output(2), STRIP)
    here, there = own_logs(model), own_logs(model, BEFORE + TEXT)
    ids, others = ids_of(TEXT), ids_of(BEFORE + TEXT)
    shift = len(others) - len(ids)
    answer = notebook.kernel_eval(
        "compared.to_frame()['surprisal_difference'].fillna(9999).tolist()"
    )
    places = [i for i, value in enumerate(answer) if value != 9999][-20:]
    assert len(places) == 20
    for place in places:
        assert others[place + shift] == ids[place]
        own = there[place + shift - 1, ids[place]] - here[place - 1, ids[place]]
        assert answer[place] == pytest.approx(own, abs=2e-4)
        notebook.kernel_run(f"compared.hovered = {place}")
        bits = own / np.log(2)
        card = shown.locator(".gh-strip-card")
        expect(card).to_contain_text(f"token {place}")
        said = re.search(r"a difference of ([+−]?)\s?([\d.]+) bits", card.inner_text())
        assert said is not None, card.inner_text()
        found = float(said[2]) * (-1 if said[1] == "−" else 1)
        assert found == pytest.approx(bits, abs=0.051 if abs(bits) >= 10 else 0.0051)


def test_a_word_goes_on_by_mouse_and_keyboard_and_back_in_all_panes(
    strip: Locator, notebook: Notebook
) -> None:
    notebook.kernel_run("strip.set(reading='distribution', selected=[5])")
    words = strip.locator('[data-action="continue"]')
    expect(words).to_have_count(200)
    chosen = int(words.nth(1).get_attribute("data-id") or -1)
    words.nth(0).focus()
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("Enter")
    bar = strip.locator(".gh-strip-continued")
    expect(bar).to_be_visible()
    expect(bar).to_contain_text("at token 5")
    prompt = torch.tensor([[*ids_of(TEXT)[:5], chosen]])
    lens_model: Any = Lens.demo("decoder").model
    expected = lens_model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=50
    )[0].tolist()
    assert notebook.kernel_eval("list(strip.trace.sequences[0].ids)") == expected
    expect(strip.locator(".gh-strip-main .gh-token")).to_have_count(len(expected))
    # Whoever went on by the keyboard is not thrown out of the view.
    expect(bar.locator("button")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(bar).to_be_hidden()
    expect(strip.locator(".gh-strip-main .gh-token")).to_have_count(len(ids_of(TEXT)))
    root = view(notebook.output(1), EXPLORER)
    root.locator('[data-action="continue"]').nth(1).click()
    notebook.wait_for_kernel("list(explorer.trace.sequences[0].ids)", expected)
    expect(root.locator('[data-action="prompt-text"]').first).to_have_value(
        notebook.kernel_eval("explorer.trace.text")
    )
    root.locator('[data-action="step-back"]').click()
    expect(root.locator('[data-action="prompt-text"]').first).to_have_value(TEXT)
    assert notebook.kernel_eval("explorer.lines.trace is explorer.strip.trace is trace")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_in_the_panels(notebook: Notebook, theme: str) -> None:
    notebook.page.evaluate(AXE.read_text(encoding="utf-8"))
    notebook.set_theme(theme)
    notebook.kernel_run("strip.set(reading='distribution', selected=[5], sample_k=10)")
    for cell in range(4):
        root = view(notebook.output(cell), EXPLORER if cell == 1 else STRIP)
        root.scroll_into_view_if_needed()
        handle = root.element_handle()
        assert notebook.page.evaluate(_VIOLATIONS, [handle, RULES[theme]]) == []
    notebook.set_theme("light")


def test_a_saved_page_keeps_the_layers_of_the_pinned_token(
    browser: Browser, tmp_path: Path
) -> None:
    lens = Lens.demo("decoder")
    trace = lens.trace(TEXT)
    jacobian = fit_lens(lens, FITTED_ON, "jacobian", n_samples=1)
    path = tmp_path / "strip.html"
    PerplexityStrip(trace, fitted=jacobian, reading="layers", selected=[5]).save_html(path)

    def told(fitted: FittedLens | None) -> str:
        found = trace.layer_readings(5, fitted=fitted)
        return f"{found.top[0][0]} at rank {found.rank[0]}"

    with opened(browser, path) as found:
        page = found.page
        words = page.locator('.gh-strip-rows tr[data-layer="0"] .gh-strip-word')
        rank = page.locator('.gh-strip-rows tr[data-layer="0"] td:nth-child(4)')
        for name, fitted, label in (
            ("jacobian", jacobian, jacobian.label),
            ("", None, "logit lens"),
        ):
            page.locator(f'[data-action="reading-lens"] [data-value="{name}"]').click()
            expect(page.locator(".gh-strip-read-by")).to_have_text(f"Read by the {label}.")
            written = words.inner_text().replace("·", " ")
            assert f"{written} at rank {rank.inner_text()}" == told(fitted)
        # Nothing else can be asked: no word is a button, and another token says so.
        expect(page.locator("button.gh-strip-word, button.gh-strip-chip")).to_have_count(0)
        page.locator('.gh-strip-main [data-position="8"]').first.click()
        expect(page.locator(".gh-strip-reading-content")).to_contain_text("has no kernel")


def test_a_saved_page_says_what_it_cannot_ask(browser: Browser, tmp_path: Path) -> None:
    lens = Lens.demo("decoder")
    trace = lens.trace(TEXT)
    read_closely = PerplexityStrip(trace, reading="distribution", selected=[5])
    path = tmp_path / "strip.html"
    read_closely.save_html(path)
    with opened(browser, path) as found:
        panel = found.page.locator(".gh-strip-reading-content")
        expect(panel).to_contain_text("This page has no model to run")
    compared = PerplexityStrip(trace, compare=lens.trace(BEFORE + TEXT))
    compared.save_html(path)
    with opened(browser, path) as found:
        legend = found.page.locator(".gh-legend")
        expect(legend).to_contain_text("the other text")
        found.page.locator('.gh-strip-main [data-position="8"]').first.hover()
        expect(found.page.locator(".gh-strip-card")).to_contain_text("the other text")
