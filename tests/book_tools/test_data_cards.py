"""Data cards of the real sets: counts that are right, words that fit them."""

import numpy as np
import pytest

from book_tools.cards import real_data_card, real_facts
from book_tools.cards.counting import PLACES
from lrpbook_lib.places import data_home
from lrpbook_lib.results import read_result
from tests.data.conftest import small_case, write_volume


def test_cases_are_counted(tmp_path):
    for k, (grade, site) in enumerate(
        (("HGG", "2013"), ("LGG", "2013"), ("HGG", "TMC"))
    ):
        name = f"Brats18_{site}_{k}_1"
        images, seg = small_case(k)
        for sequence, array in {**images, "seg": seg}.items():
            file = tmp_path / "brats18" / grade / name / f"{name}_{sequence}.nii.gz"
            write_volume(file, array, np.diag([-2.0, -2, 2, 1]))
    facts = real_facts("BraTS 2018", tmp_path)
    assert facts["grades"] == "HGG 2, LGG 1"
    assert facts["sites"] == "2, of which 1 sent both grades"
    assert facts["spacing"] == "2 x 2 x 2 mm"
    edema = 8 * (small_case()[1] == 2).sum() / 1000
    assert facts["edema, ml"] == f"{edema:.1f} ({edema:.1f} to {edema:.1f})"
    assert "Brats18" not in str(facts)


def test_tables_are_counted(tmp_path):
    (tmp_path / "tables").mkdir()
    rows = [("HGG", "CBICA"), ("HGG", "2013"), ("LGG", "2013"), ("LGG", "TCIA10")] * 5
    for year in (2019, 2020):
        lines = [f"Grade,BraTS_2019_subject_ID,BraTS_{year}_subject_ID"]
        lines = lines if year == 2020 else ["Grade,BraTS_2019_subject_ID"]
        for k, (grade, site) in enumerate(rows):
            new = f",BraTS20_Training_{k}" if year == 2020 else ""
            lines.append(f"{grade},BraTS19_{site}_{k}_1{new}")
        if year == 2020:
            lines.append("HGG,NA,BraTS20_Training_099")
        table = tmp_path / "tables" / f"BraTS{year}_name_mapping.csv"
        table.write_text("\n".join(lines) + "\n")
    facts = real_facts("BraTS tables", tmp_path)
    assert facts["BraTS 2019"].startswith(
        "10 HGG and 10 LGG patients, 20 of them of 3 sources, of which 1 sent both"
    )
    assert facts["BraTS 2020"].startswith("11 HGG and 10 LGG patients, 20 of them of 3")


@pytest.mark.parametrize("name", PLACES)
def test_a_card_is_made_of_stamped_counts_alone(name):
    facts = read_result("real_sets")[name]
    card = real_data_card(name, facts)
    assert all(str(value) in card for value in facts.values())
    assert "doi.org" in card and "clinical" in card and "Terms" in card


def test_no_card_for_an_unknown_set():
    with pytest.raises(KeyError, match="there are Cheng"):
        real_data_card("BraTS 2031", {})


def test_stamped_counts_are_those_of_the_files():
    home = data_home()
    if home is None or not (home / "tables").is_dir():
        pytest.skip("no real tables here: set LRPBOOK_DATA to try it on real files")
    assert real_facts("BraTS tables", home) == read_result("real_sets")["BraTS tables"]
