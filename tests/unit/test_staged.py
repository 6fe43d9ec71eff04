from lowmem_tui.model.plan import Edit
from lowmem_tui.model.staged import Staged
from lowmem_tui.model.unit import Key

MAX = Edit("a.service", Key.MEMORY_MAX, "100M")
ADJ = Edit("a.service", Key.OOM_SCORE_ADJUST, "-100")
OTHER = Edit("b.service", Key.MEMORY_MAX, None)


def test_edits_keep_their_order_and_replace_in_place() -> None:
    staged = Staged().with_edit(MAX).with_edit(OTHER).with_edit(ADJ)
    again = staged.with_edit(Edit("a.service", Key.MEMORY_MAX, "200M"))
    assert [e.value for e in again.edits] == ["200M", None, "-100"]
    assert [e.value for e in staged.edits] == ["100M", None, "-100"]
    assert len(again) == 3


def test_of_a_unit() -> None:
    staged = Staged((MAX, OTHER, ADJ))
    assert staged.of("a.service") == {Key.MEMORY_MAX: "100M", Key.OOM_SCORE_ADJUST: "-100"}
    assert staged.of("b.service") == {Key.MEMORY_MAX: None}
    assert staged.of("c.service") == {}
    assert staged.units == ("a.service", "b.service")


def test_without() -> None:
    staged = Staged((MAX, OTHER, ADJ))
    assert staged.without("a.service", Key.MEMORY_MAX).edits == (OTHER, ADJ)
    assert staged.without("a.service").edits == (OTHER,)
    assert staged.without("c.service").edits == staged.edits
    assert staged.without("b.service", Key.RESTART).edits == staged.edits


def test_empty_is_false() -> None:
    assert not Staged()
    assert Staged((MAX,))


def test_asking_is_for_all_the_units_named() -> None:
    staged = Staged((MAX, ADJ, OTHER))
    new = Edit("b.service", Key.MEMORY_MAX, "50M")
    asked = staged.asking(("a.service", "b.service"), Key.MEMORY_MAX, (new,))
    assert asked.edits == (ADJ, new)
    assert staged.asking((), Key.MEMORY_MAX, ()) == staged
