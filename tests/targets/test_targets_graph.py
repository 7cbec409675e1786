"""The graph that Snakemake prints is read job by job, and what a target needs is found once each."""

import pytest

from secondorder.errors import InputError
from secondorder.targets.graph import JobGraph, parse_graph

PRINTED = """\
digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
    node[shape=box, style=rounded, fontname=sans,                 fontsize=10, penwidth=2];
    edge[penwidth=2, color=grey];
\t0[label = "figure_spectrum", color = "0.65 0.6 0.85", style="rounded"];
\t1[label = "draw_figures_1", color = "0.42 0.6 0.85", style="rounded"];
\t2[label = "track_spectrum\\nproblem: mnist_mlp", color = "0.41 0.6 0.85", style="rounded,dashed"];
\t10[label = "prepare\\ndataset: mnist_5k\\nsplit: test", color = "0.41 0.6 0.85", style="rounded"];
\t1 -> 0
\t2 -> 1
\t10 -> 2
\t10 -> 1
}            """
# A figure is drawn of two tables, which are made of one training.
DIAMOND = JobGraph(
    {
        "figure": frozenset({"draw"}),
        "draw": frozenset({"curves", "ranks"}),
        "curves": frozenset({"train"}),
        "ranks": frozenset({"train"}),
        "train": frozenset(),
        "elsewhere": frozenset({"train"}),
    }
)


def test_printed_graph_is_read():
    assert parse_graph(PRINTED).inputs == {
        "figure_spectrum": {"draw_figures_1"},
        "draw_figures_1": {"track_spectrum_mnist_mlp", "prepare_mnist_5k_test"},
        "track_spectrum_mnist_mlp": {"prepare_mnist_5k_test"},
        "prepare_mnist_5k_test": set(),
    }


def test_direct_jobs_are_those_that_make_its_files():
    assert DIAMOND.direct("figure") == {"draw"}


def test_needed_jobs_are_those_upstream_without_the_target():
    assert DIAMOND.needed("figure") == {"draw", "curves", "ranks", "train"}


def test_nothing_is_needed_by_a_first_job():
    assert DIAMOND.needed("train") == frozenset()


@pytest.mark.parametrize("ask", [DIAMOND.direct, DIAMOND.needed], ids=["direct", "needed"])
def test_unknown_target_is_refused(ask):
    with pytest.raises(InputError, match="no target 'figrue'"):
        ask("figrue")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("Building DAG of jobs...\n", "has no job", id="no graph"),
        pytest.param(
            '\t0[label = "train_a", style="x"];\n\t1[label = "train\\nrun: a", style="x"];\n',
            "two jobs are called 'train_a'",
            id="one name",
        ),
    ],
)
def test_text_that_is_no_graph_of_different_jobs_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_graph(text)
