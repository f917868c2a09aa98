"""Every sentence a report may say, by key; whole sentences, so that each can be translated as it is.

Values in braces are filled by ``wording``. No sentence says what brings results about, and none orders
groups or people; a test reads all of them.
"""

from typing import Final

DRIVERS: Final = {
    "support": "Support",
    "capability": "Skills and know-how",
    "alignment": "Direction",
    "motivation": "Drive",
    "activity": "Recorded activity",
}

VERDICTS: Final = {
    "fix_patch": "Fix the patch first",
    "people": "Activity or skill explains more than the patch",
    "other_condition": "{condition} is what holds results back",
    "quota": "Look at the quota first",
    "support_over_activity": "More activity is not the lever",
    "both": "Support and activity both matter",
    "none": "No driver stands out",
    "cant_tell": "Can't tell yet",
}

REASONS: Final = {
    "fix_patch": "Support goes with results more than activity and every other condition.",
    "people_activity": "Recorded activity goes with results more than Support does.",
    "people_skill": "Skills and know-how go with results more than everything else that was measured.",
    "other_condition": "{condition} goes with results more than everything else that was measured.",
    "quota": "Few reps hit quota, and few do even where conditions are most favourable.",
    "support_over_activity": "Support goes with results more than activity does.",
    "not_separated": "{conditions} can't be ruled out yet.",
    "record_territory": "Record territory potential to test whether the patch is behind it.",
    "records_disagree": "Your records don't confirm it: richer patches don't clearly go with better results.",
    "small_support": "Its own link with results is too small to act on.",
    "both": "Both go with results, and neither is clearly ahead.",
    "none": "Everything that was measured goes with results weakly at most: {drivers}.",
    "cant_tell": "The ranges leave more than one reading open.",
    "cant_tell_answers": "The tables that set answers beside results are not in this release.",
    "cant_tell_activity": "Activity was not imported, so Support can't be compared with it.",
    "difference": (
        "The difference between Support and activity is {value} ({low} to {high}, includes privacy noise)."
    ),
    "more_answers": "About {answers} more answers would help.",
    "more_answers_no": "More answers from the people invited would probably not settle it.",
}

SURENESS: Final = {
    "high": "How sure: high. The difference is large, and your own records of the patch agree.",
    "medium_records_not_measured": (
        "How sure: medium. The difference is clear, but no record of the patch was there to check it."
    ),
    "medium_records_failed": "How sure: medium. The difference is clear, but your records don't confirm it.",
    "medium_small": "How sure: medium. The difference is clear, but it could be small.",
    "medium_people": "How sure: medium. What stands out is clear of chance and privacy noise.",
    "medium_quota": "How sure: medium. The share that hit quota is low beyond chance and privacy noise.",
    "low": "How sure: low. Neither Support nor activity is ahead beyond chance and privacy noise.",
    "low_not_compared": "How sure: low. Support and activity could not be compared.",
}

RECORD_CHECK: Final = {
    "question": (
        "Reps who missed may rate their patch lower because they missed. "
        "We check that against what your records say of the patch."
    ),
    "passed": "Your records agree: reps with richer recorded patches did better.",
    "failed": "Your records don't confirm it: no record of the patch clearly goes with results.",
    "not_measured": "Not checked: no record of the patch, or no activity, was imported.",
}

EXPLANATIONS: Final = {
    "quota": "Quota is unrealistic",
    "territory": "Patch is broken",
    "skill": "Skill is missing",
    "effort": "Effort is missing",
    "process": "Process is broken",
}

REMEDIES: Final = {
    "quota": "Lower quotas",
    "territory": "New territories or lead sources",
    "skill": "Sales training",
    "effort": "Higher activity targets",
    "process": "New sales process",
}
"""What a company would buy if an explanation were true."""

EXPLANATION_STATES: Final = {
    "supported": "Supported",
    "evidence_against": "Evidence against",
    "not_enough_evidence": "Not enough evidence",
    "not_measured": "Not measured",
}

WOULD_SEE: Final = {
    "quota": "Clearly fewer than 55 % hit quota, even among reps with the most favourable conditions.",
    "territory": "Support goes with results more than activity and every other condition.",
    "skill": "Skills and know-how go with results more than everything else.",
    "effort": "Recorded activity goes with results more than every condition.",
    "process": "Direction goes with results more than everything else.",
}

SEEN: Final = {
    "quota": "{value} % hit quota (range {low} to {high} %, company records).",
    "quota_best": "With the most favourable conditions it could be up to {high} % (includes privacy noise).",
    "released": "{driver} goes with results at {value} ({low} to {high}, includes privacy noise).",
    "records": "{driver} goes with results at {value} ({low} to {high}, company records).",
    "territory_unconfirmed": "Only the reps' ratings say so; your records of the patch don't confirm it.",
    "not_measured": "This was not measured in this cycle.",
    "quota_not_measured": (
        "{value} % hit quota (company records). The conditions beside it were not all measured."
    ),
}

NEXT_STEPS: Final = {
    "quota": "Compare the quota with what patches of this size have yielded before.",
    "territory": "Check the patches with few good prospects before you plan training.",
    "skill": "Ask which skill is missing before you buy a course.",
    "effort": "Look at what takes reps' time before you raise call targets.",
    "process": "Ask reps which accounts they would drop, and what they wait for.",
    "not_measured": "Add it to the next cycle if the answer would change what you do.",
    "evidence_against": "Nothing here asks for a change.",
}

STATES: Final = {
    "shown": "{value} ({low}-{high})",
    "wide": "About {value}. The range is wide ({low}-{high}): treat as a hint.",
    "no_separate_reading": ("No separate reading: this group can't be told apart from the whole company."),
    "held": (
        "Hidden. Too few answers to show safely. The limit is {k}; groups somewhat above it can be hidden "
        "too, so that one person more or less can't be noticed."
    ),
    "not_released": "Not part of this release. Publishing it would use more of the privacy budget.",
    "not_asked": "This question was not in this cycle.",
    "no_data": "No quota results were imported for this group.",
}

DRIVER_TITLES: Final = {
    "fix_patch": "Support goes with results more than activity and the other conditions",
    "people_activity": "Activity goes with results more than Support",
    "people_skill": "Skills and know-how go with results more than the rest",
    "other_condition": "{condition} goes with results more than the rest",
    "support_over_activity": "Support goes with results more than activity",
    "both": "Support and activity both go with results",
    "none": "No driver goes with results clearly",
    "open": "It can't be told which driver goes with results more",
}

NOTES: Final = {
    "ranges": "Every range includes privacy noise.",
    "link": "Two things that go together need not bring each other about.",
    "released": "{value} ({low} to {high}, includes privacy noise)",
    "records": "{value} ({low} to {high}, company records)",
    "no_data": "no data",
    "small_band": "Too small to act on",
    "lowest": "Across the company, {condition} is lowest; its range lies below the others.",
}

ALL: Final = {
    "drivers": DRIVERS,
    "verdicts": VERDICTS,
    "reasons": REASONS,
    "sureness": SURENESS,
    "record_check": RECORD_CHECK,
    "explanations": EXPLANATIONS,
    "explanation_states": EXPLANATION_STATES,
    "would_see": WOULD_SEE,
    "seen": SEEN,
    "next_steps": NEXT_STEPS,
    "states": STATES,
    "driver_titles": DRIVER_TITLES,
    "notes": NOTES,
}
