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

INDICATORS: Final = {
    "first_response_hours": "Fast first response",
    "median_days_in_stage": "Short time in stage",
    "one_on_ones": "One-on-ones",
}
"""Recorded indicators whose name in a file is not what a page calls them."""

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
    "too_few_results": "{frame} invited reps have results; {needed} are needed to compare drivers.",
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
    "low_both": "How sure: low. Each link is clear; which of the two matters more is open.",
    "low_none": "How sure: low. Chance and privacy noise can hide a weak link.",
    "low_not_compared": "How sure: low. Support and activity could not be compared.",
}

DECISIONS: Final = {
    "fix_patch": "Look at the patches with few good prospects before you buy training or open plans.",
    "people_activity": "Look at recorded activity first: ask what takes reps' time before you raise targets.",
    "people_skill": "Look at skill first: ask which skill is missing before you buy a course.",
    "other_condition": "Ask reps what is missing in {condition} before you spend.",
    "quota": "Compare quotas with what patches of this size have yielded before you judge anybody by them.",
    "support_over_activity": "Leave call targets as they are. Find out which part of Support is missing.",
    "both": "Do not raise activity alone: Support goes with results too.",
    "none": "Nothing measured here supports training, call targets or performance plans.",
    "cant_tell": "Wait, or decide on other grounds: this release supports no decision either way.",
}

BASIS: Final = {
    "released": "{driver} goes with results at {value} ({low} to {high}, includes privacy noise).",
    "records": "{driver} goes with results at {value} ({low} to {high}, company records).",
    "nothing": "None of the five explanations is supported by this release.",
}
"""What a decision rests on; the numbers stand beside it."""

DOUBTS: Final = {
    "condition": "Reps who missed may rate this lower because they missed. No record checks that.",
    "quota": "One period can be unusual: compare the share that hit with that of earlier periods.",
    "hidden": "A link that is not seen may still be there: chance and privacy noise can hide it.",
}
"""What could make a verdict wrong, beside the record check."""

CARDS: Final = {
    "strongest": "Strongest driver",
    "strongest_none": "None stands out",
    "strongest_none_words": "No driver is ahead of the others beyond chance and noise.",
    "released_all": (
        "Link with results: {value} ({low} to {high}, includes privacy noise). "
        "Clearly ahead of everything else measured."
    ),
    "released_activity": (
        "Link with results: {value} ({low} to {high}, includes privacy noise). Clearly ahead of activity."
    ),
    "records_all": (
        "Link with results: {value} ({low} to {high}, company records). "
        "Clearly ahead of everything else measured."
    ),
    "records_support": (
        "Link with results: {value} ({low} to {high}, company records). Clearly ahead of Support."
    ),
    "where": "Where it bites",
    "where_words": "Support is lower here: the whole range lies below the company's.",
    "where_more": "and {count} more",
    "where_level": "No group stands apart",
    "where_level_words": "No group's range lies wholly below the company's.",
    "where_unread": "No group can be read apart",
    "where_unread_words": "Only the whole company has a reading in this release.",
    "not_yet": "What not to spend on yet",
    "not_yet_words": "The evidence speaks against it. Whether it would pay back was not worked out.",
    "not_yet_none": "Nothing ruled out",
    "not_yet_none_words": "Not enough evidence is not the same as evidence against.",
}

TEAMS: Final = {
    "company_only": "Support can be read for the whole company only",
    "not_released": "Support by group is not part of this release",
    "below_one": "Support is lower in {group} than across the company",
    "below": "Support is lower in {count} of {groups} groups than across the company",
    "level": "No group's Support lies clearly below the company's",
    "too_small": "No group is large enough to be read apart.",
    "read": "{read} of {groups} groups have a reading of their own.",
    "read_one": "1 of {groups} groups has a reading of its own.",
    "read_none": "None of the {groups} groups has a reading of its own.",
    "size": (
        "A group needs about {size} invited people to be read. "
        "To stand apart it must also differ from the company beyond chance and noise."
    ),
    "wide": "Most ranges are wide. The company's row and the recorded columns say more.",
    "below_names": "Support is lower in {groups}: the whole range lies below the company's.",
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
    "territory_unconfirmed": "Only the reps' ratings say so; your records of the patch don't confirm it.",
    "territory_stricter": "It is ahead of activity, but not clearly ahead of every other condition.",
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
    "shares_not_released": "The table that sets Support beside quota is not part of this release.",
    "shares_mixed": "Bands were merged across the quota, so they can't tell who hit it.",
    "lowest": "Across the company, {condition} is lowest; its range lies below the others.",
}

ALL: Final = {
    "drivers": DRIVERS,
    "verdicts": VERDICTS,
    "reasons": REASONS,
    "sureness": SURENESS,
    "decisions": DECISIONS,
    "basis": BASIS,
    "doubts": DOUBTS,
    "cards": CARDS,
    "teams": TEAMS,
    "indicators": INDICATORS,
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
