"""What a target is stands in the first paragraph of its module's docstring."""

import pytest

from secondorder import plotting, tables
from secondorder.errors import ConfigurationError
from secondorder.targets.sentences import first_paragraph


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('"""What it shows."""\nimport this_is_not_imported\n', id="one line"),
        pytest.param('"""What it\nshows.\n\nMore of it.\n"""\n', id="two lines and more"),
        pytest.param('# A comment.\n\nr"""What it shows."""\n', id="after a comment"),
    ],
)
def test_first_paragraph_is_one_line(content, tmp_path):
    source = tmp_path / "mine.py"
    source.write_text(content)
    assert first_paragraph(source) == "What it shows."


@pytest.mark.parametrize("content", ["", "name = 'no docstring'\n"], ids=["empty", "code first"])
def test_module_without_a_docstring_is_refused(content, tmp_path):
    source = tmp_path / "mine.py"
    source.write_text(content)
    with pytest.raises(ConfigurationError, match=r"mine\.py begins with no docstring"):
        first_paragraph(source)


@pytest.mark.parametrize("package", [plotting, tables], ids=["figures", "tables"])
def test_every_figure_and_table_says_in_a_sentence_of_its_own_what_it_is(package, request):
    folder = request.config.rootpath / "src" / "secondorder" / package.__name__.rpartition(".")[2]
    sentences = [first_paragraph(folder / f"{name}.py") for name in package.available()]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)
