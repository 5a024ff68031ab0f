"""Python source of nested settings."""

from mim_plugins.cli.config_source import Expression, literal


def test_source_evaluates_to_the_settings():
    settings = dict(
        name='a "quoted" \\ näme', sizes=[1, 2.5, None, True], inner=dict(x="y" * 80, z=dict(w=()))
    )
    settings["inner"]["z"]["w"] = [dict(a=1)]
    source = literal(settings)
    assert eval(source) == settings
    assert all(len(line) <= 100 for line in source.splitlines())


def test_expressions_are_not_quoted():
    assert literal(dict(batch_size=Expression("2 * n"))) == "dict(batch_size=2 * n)"
