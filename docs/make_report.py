"""Writes what this checkout changes against another commit: figures, parameters, pictures.

`make report BASE=main` runs it, and so does .github/workflows/report.yml on a pull request. All it
compares is in Git; no data, no DVC remote and no secret are needed.
"""

import shutil
import subprocess
from pathlib import Path

from pneumonia import errors
from pneumonia.files import write_text

TABLES = {"Figures": ("metrics", "diff"), "Parameters": ("params", "diff")}


def ask(*command: str) -> bytes:
    """Standard output of a command; InputError with the first line of its complaint if it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[0]
        raise errors.InputError(f"`{' '.join(command)}` failed: {reason}")
    return done.stdout


def list_changed_pictures(base: str) -> list[str]:
    """Pictures under plots/ that are other ones here than at `base`, new and deleted ones too."""
    against = ask("git", "diff", "--name-only", base, "--", "plots/*.png").decode()
    new = ask("git", "ls-files", "--others", "--exclude-standard", "--", "plots/*.png").decode()
    return sorted({*against.splitlines(), *new.splitlines()})


def find_sides(name: str, base: str) -> tuple[bool, bool]:
    """Whether a picture exists before and after."""
    return bool(ask("git", "ls-tree", "--name-only", base, "--", name)), Path(name).exists()


def export_pictures(names: list[str], base: str, folder: Path) -> None:
    """Copy both versions of each picture to folder/before and folder/after."""
    for side in ("before", "after"):
        shutil.rmtree(folder / side, ignore_errors=True)
        (folder / side).mkdir(parents=True)
    for name in names:
        before, after = find_sides(name, base)
        if before:
            content = ask("git", "show", f"{base}:./{name}")
            (folder / "before" / Path(name).name).write_bytes(content)
        if after:
            shutil.copyfile(name, folder / "after" / Path(name).name)


def link_pictures(names: list[str], base: str, places: tuple[str, str]) -> str:
    """A table of each picture before and after; `places` are what their names follow."""
    rows = []
    for name in names:
        sides = zip(places, find_sides(name, base), strict=True)
        cells = [f"![{name}]({place}/{Path(name).name})" if has else "none" for place, has in sides]
        rows.append(f"| {cells[0]} | {cells[1]} |\n")
    if not rows:
        return "No picture changed.\n"
    return "| before | after |\n| --- | --- |\n" + "".join(rows)


def write_report(base: str, folder: Path, pictures: str) -> Path:
    """Write report.md and DVC's page of plots into `folder`; gives the former's path.

    `pictures` is where Git's files are served by commit (URL/COMMIT/PATH); empty: local copies.
    """
    commit = ask("git", "rev-parse", "--verify", f"{base}^{{commit}}").decode().strip()
    ask("dvc", "plots", "diff", base, "--out", str(folder / "plots"))
    parts = [f"## This change against {base} ({commit[:9]})\n"]
    for title, command in TABLES.items():
        table = ask("dvc", *command, base, "--md").decode().strip()
        parts.append(f"### {title}\n\n{table or 'No change.'}\n")
    names = list_changed_pictures(base)
    places = ("before", "after")
    if pictures:
        head = ask("git", "rev-parse", "HEAD").decode().strip()
        places = (f"{pictures}/{commit}/plots", f"{pictures}/{head}/plots")
    else:
        export_pictures(names, base, folder)
    parts.append("### Pictures\n\n" + link_pictures(names, base, places))
    report = folder / "report.md"
    write_text(report, "\n".join(parts))
    return report


def main(base: str = "main", folder: Path = Path(".cache/report"), pictures: str = "") -> None:
    """Compare the checkout with --base."""
    print(f"{write_report(base, folder, pictures)} and {folder / 'plots/index.html'} are written")


if __name__ == "__main__":
    errors.run(main)
