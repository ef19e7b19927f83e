"""Who speaks in simulated dialogues, and how."""

PEOPLE = (
    "a student who shares a flat and counts every coin",
    "a nurse on night shifts, short of time",
    "a retired teacher, patient and exact",
    "a freelance translator who works from trains",
    "a father of three who plans for everybody",
    "a small shop's owner, practical, always in the middle of something",
    "a software developer, terse, used to machines",
    "an office manager who arranges things for others",
    "a farmer who speaks plainly",
    "a grandmother, new to all this, friendly",
    "a sales representative, on the road, quick",
    "a musician, scattered, warm",
    "an accountant who likes figures to be right",
    "an exchange student whose English is simple and a little off",
    "a journalist on a deadline",
    "a mechanic who dictates with oily hands",
    "a doctoral researcher, precise about conditions",
    "an event organiser who juggles many names and dates",
)

MANNERS = (
    "writes one short sentence, no more than needed",
    "starts with the circumstances and comes to the wish at the end",
    "polite, full sentences, please and thank you",
    "lower case, few commas, hurried",
    "thinks aloud and corrects himself or herself once",
    "asks a question where others would give an order",
    "mentions a reason that has nothing to do with the task",
    "gives the facts first, in note form, then what to do with them",
    "chatty, with a touch of humour",
    "a bit annoyed, because it did not work elsewhere",
    "uses everyday words for amounts, times and days",
    "formal, as in a letter",
)
