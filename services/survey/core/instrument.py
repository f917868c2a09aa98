"""The questions, in their first language: 18 items, a 12-item pulse, and the reasons on the patch."""

from services.protocol.manifest import Instrument, Item

LOW_AT_MOST = 2.75
HIGH_AT_LEAST = 3.75
ANSWERED_SHARE = 2 / 3

ITEMS = (
    Item(
        id="C1",
        dimension="capability",
        text="I know our product well enough to answer most customer questions on the spot.",
    ),
    Item(
        id="C2",
        dimension="capability",
        text="I can find out what a buyer really needs in a first conversation.",
    ),
    Item(id="C3", dimension="capability", text="I have the selling skills my kind of deal calls for."),
    Item(id="C4", dimension="capability", text="When a deal stalls, I know what to try next."),
    Item(id="A1", dimension="alignment", text="I know what counts as a good result in my role this quarter."),
    Item(id="A2", dimension="alignment", text="I know which accounts and deals should get my time first."),
    Item(id="A3", dimension="alignment", text="I understand how my quota was set."),
    Item(id="A4", dimension="alignment", text="My manager and I agree on what I should work on next."),
    Item(id="M1", dimension="motivation", text="I want to hit my target, and not only for the pay."),
    Item(id="M2", dimension="motivation", text="Hitting my quota feels possible if I do good work."),
    Item(id="M3", dimension="motivation", text="Extra effort in my job pays off."),
    Item(id="M4", dimension="motivation", text="I have enough energy for the work this job asks of me."),
    Item(
        id="S1",
        dimension="support",
        text="My territory or account list has enough good prospects for me to reach my quota.",
    ),
    Item(id="S2", dimension="support", text="The leads I am given are a good fit for what we sell."),
    Item(id="S3", dimension="support", text="Compared with my peers, my patch gives me a fair chance."),
    Item(id="S4", dimension="support", text="I get the content, tools and training I need when I need them."),
    Item(
        id="S5",
        dimension="support",
        text="I get help from pre-sales, marketing or my manager when a deal needs it.",
    ),
    Item(id="S6", dimension="support", text="Admin and internal steps leave me enough time to sell."),
)

PULSE_ITEMS = ("C1", "C2", "C3", "A1", "A2", "A3", "M1", "M2", "M3", "S1", "S2", "S4")

FLAGS = (
    "Too few accounts that need what we sell",
    "Accounts already bought or are locked in",
    "Too few leads",
    "Leads are a poor fit",
    "Leads reach me late",
    "Too large to cover well",
    "Changed in the middle of the period",
    "Much thinner than my peers' patches",
    "Strong local competitor or price gap",
    "Missing product, tools or training for this segment",
    "No, my patch is fair",
)

FULL = Instrument(
    version="fairpatch-18/1",
    items=ITEMS,
    flags=FLAGS,
    low_at_most=LOW_AT_MOST,
    high_at_least=HIGH_AT_LEAST,
    answered_share=ANSWERED_SHARE,
)

PULSE = FULL.model_copy(
    update={
        "version": "fairpatch-12/1",
        "items": tuple(item for item in ITEMS if item.id in PULSE_ITEMS),
    }
)
