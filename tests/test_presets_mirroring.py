"""presets, mirroring: which classes a mirrored photo would call by the wrong name."""

from __future__ import annotations

import string

import pytest

from tfod_helpers.presets import mirroring

PAIRS = (
    "turnLeft turnRight, arrowleft arrowright, LEFT RIGHT, left-hand right_hand, HandLeft3 HandRight3, links rechts, "
    "linke_hand rechte_hand, izquierda derecha, giro_izquierdo giro_derecho, gauche droite, main_gauche main_droite, "
    "sinistra destra, esquerda direita, lewo prawo, skretWLewo skretWPrawo, лево право, налево направо, "
    "ЛеваяРука ПраваяРука, 左 右, 左折 右折, 왼쪽 오른쪽, ซ้าย ขวา, बाएं दाएं, يسار يمين, L R, hand_L hand_R, "
    "LHand RHand, lhand rhand, eyeL eyeR, mano_sx mano_dx, wheel-FL wheel-FR, vlevo vpravo, vänster höger, "
    "stânga dreapta, sol sağ, maingauche maindroite, thumbleft thumbright, ccw cw, "
    "clockwise counter-clockwise, left_to_right right_to_left"
)
SIDED = (
    "leftHand arrowleft no_left_turn 2left turn-right izquierda tourner_à_gauche rechtsaf 左折 UpRight lefthand "
    "pfeil_links Linkskurve linke_Hand"
)
NO_SIDE = (
    "leftover,left-overs,cleft,bright,sunbright,upright,copyright,CopyRight,playwright,fright,all right,right whale,"
    "right_angle,human rights,left luggage,links,cuff links,cufflinks,左右,лев,правила,управление,tout droit,level,"
    "solar,lock,rock,led,red,lake,rake,b,d,p,q,airport,port,L,C,cat,dog"
)


@pytest.mark.parametrize("pair", PAIRS.split(", "))
def test_two_classes_that_differ_in_the_side_alone_are_a_pair(pair: str) -> None:
    """However its words are joined, in whatever language, in either order, and beside other classes."""
    one, other = pair.split()
    assert mirroring.pairs([one, other]) == [(one, other)]
    assert mirroring.opposites(["stop", other, "cat", one]) == {other: one, one: other}


@pytest.mark.parametrize("name", SIDED.split())
def test_a_side_counts_without_its_opposite(name: str) -> None:
    """A single class that says left or right is called by the wrong name in a mirrored photo."""
    assert mirroring.opposites(["cat", name]) == {name: ""}
    assert mirroring.pairs(["cat", name]) == []


def test_names_that_only_hold_the_letters_are_mirrored() -> None:
    """Words that only look like a side, letters of an alphabet and their mirror images are no sides."""
    assert mirroring.opposites(NO_SIDE.split(",")) == {}
    assert mirroring.pairs("UDLR") == [("L", "R")]
    assert mirroring.opposites(string.ascii_uppercase) == {}
    assert mirroring.opposites(string.ascii_lowercase) == {}
