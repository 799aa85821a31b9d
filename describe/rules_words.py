"""The vocabularies of the rules on content: plain words, to be read and argued with."""

import re

FILLER = frozenset(
    """
    a an the of in on at to and or with for by from into onto as is are be being been was were it
    its this that these those their his her your each one's during while through throughout until
    up out over again also very more most all any every some both other another within after
    before if
    """.split()
)

# Words that fit any action. A sentence made of these alone tells no two classes apart. Words for
# parts of the body, objects, places, directions and shapes of movement never belong here.
GENERIC = frozenset(
    """
    person people someone somebody individual individuals subject subjects participant participants
    human humans they he she man woman performer performers
    action actions activity activities movement movements motion motions move moves step steps
    process procedure task technique techniques sequence sequences video scene clip moment moments
    execution completion performance beginning preparation repetition repetitions routine way
    perform performs performing performed do does doing done execute executes executing executed
    complete completes completing completed begin begins beginning start starts starting
    finish finishes finishing continue continues continuing repeat repeats repeating
    show shows showing demonstrate demonstrates demonstrating display displays displaying
    engage engages engaging engaged involve involves prepare prepares preparing
    initiate initiates initiating initiation maintain maintains maintaining
    conclude concludes concluding conclusion finalize finalizes finalizing finalization
    precise precisely careful carefully smooth smoothly dynamic dynamically controlled control
    focused skilled skillful skillfully skill skills steady steadily fluid fluidly graceful
    gracefully powerful intense intensely energetic energetically coordinated coordination
    deliberate deliberately precision efficient efficiently effortless effortlessly seamless
    seamlessly confident confidently swift swiftly quick quickly rhythmic rhythmically rhythm
    various different certain specific something thing things appropriate necessary needed proper
    properly final initial next last desired required recovery main natural correct correctly
    effective effectively professional expertly accurate accurately
    """.split()
)

_SOUNDS = """
    sound sounds noise noises melody melodies music tune tunes hum buzz thud roar echo
    echoes silence voice voices vocals acoustics beats crunch sizzle crackle clatter clink
    harmony harmonies whir rumble audio soundtrack
    """
_SMELLS = """
    aroma aromas scent scents smell smells fragrance fragrances odor odors odour taste tastes flavor
    flavors flavour flavours freshness sweetness
    """
_FEELINGS = """
    thrill thrills excitement satisfaction joy happiness pride passion determination anticipation
    adrenaline serenity tranquility tranquillity peace relaxation comfort pleasure enjoyment freedom
    nostalgia confidence courage emotion emotions feeling feelings sense sensation sensations mood
    atmosphere ambiance ambience energy spirit vibe vibes warmth camaraderie friendship fun delight
    dedication concentration focus patience discipline perseverance mindset creativity
    accomplishment achievement enthusiasm bliss mindfulness awareness suspense intent intention
    """
_BENEFITS = """
    health fitness benefits benefit durability efficiency safety versatility quality convenience
    productivity importance history tradition heritage culture hygiene strategy strategies
    knowledge expertise experience connectivity affordability reliability sustainability
    """

# What a phrase may not be about; and, for the flag, what no camera sees wherever it stands.
UNSEEN_AS_HEAD = frozenset(f"{_SOUNDS} {_SMELLS} {_FEELINGS} {_BENEFITS}".split())
UNSEEN = frozenset(
    f"""{_SOUNDS} {_SMELLS} {_FEELINGS} {_BENEFITS}
    loud loudly audible audibly melodic melodious resonant soothing satisfying calming relaxing
    refreshing delicious tasty aromatic fragrant thrilling exhilarating enjoyable enjoying savoring
    comforting comfortable noisy quiet silent ergonomic durable versatile efficient beneficial
    adrenaline-fueled adrenaline-pumping peaceful tranquil heartfelt passionate mesmerizing
    """.split()
)

# A feeling that shows: "excitement on the face" can be seen.
VISIBLE_BODY = re.compile(
    r"\b(?:faces?|facial|eyes?|smiles?|smiling|expressions?|grins?|hands?|arms?|fingers?|fists?"
    r"|body|bodies|legs?|feet|foot|mouth|lips|head|brows?|crowd|knees?|shoulders?|chest)\b"
)

EXPERIENCED = re.compile(
    r"\b(?:can|could|may) (?:be heard|be smelled|be felt|hear|smell|taste|feel)\b"
    r"|\b(?:you|one|they|he|she|person|people|viewers?|listeners?) (?:hears?"
    r"|feels? (?:refreshed|good|great|proud|happy|relaxed|satisfied|the (?:wind|joy|thrill|rhythm"
    r"|music|heat|cold|pain|burn|energy|breeze|adrenaline)))\b"
    r"|\b(?:smells|tastes) (?:of|like|good|great|sweet|delicious|fresh)\b"
    r"|\b(?:it|that|which|voice|music|instrument) sounds\b"
    r"|\bmakes? an? (?:[\w'-]+ ){0,2}(?:sound|noise)$"
    r"|\badrenaline rush\b|\brush of adrenaline\b"
)

ENCYCLOPEDIC = re.compile(
    r"\b(?:helps?|helping) (?:to )?(?:improve|build|reduce|develop|relieve|strengthen|prevent"
    r"|promote|boost|increase|enhance|keep you|maintain good)\b"
    r"|\b(?:improv|boost|promot|enhanc)\w+ (?:\w+ ){0,4}(?:health|fitness|flexibility|mood|stamina"
    r"|circulation|confidence|well-being|wellbeing|endurance|skills|hygiene|posture)\b"
    r"|\b(?:is|are) (?:good|beneficial|important|essential|great|crucial|vital) (?:for|to|in)\b"
    r"|\bbenefits? (?:of|to|for|from)\b|\breduc\w+ (?:stress|anxiety)\b"
    r"|\b(?:is|are) (?:an? |one of the |the )(?:(?!of|in|on|at|with|from|for|to)[\w-]+ ){0,3}"
    r"(?:sports?|hobby|pastime|art form|martial art|form of \w+|type of \w+|ways? (?:to|of)"
    r"|method of|activity|exercises?|tradition|games?|technique|practice|skill)\b(?! (?:mat|ball))"
    r"|\boriginated (?:in|from)\b|\bdates? back\b|\bwas (?:first )?invented\b"
    r"|\b(?:is|are|was) (?:widely |best |well )?known (?:as|for)\b|\bfor centuries\b"
    r"|\bthroughout history\b|\b(?:ancient|long) (?:history|tradition)\b"
    r"|\b(?:is|are) (?:often|commonly|typically|usually|traditionally|widely) (?:used|done"
    r"|performed|practi[cs]ed|played|associated|considered|seen as)\b"
    r"|\brequires? (?:\w+ ){0,3}(?:skills?|practice|patience|concentration|coordination|strength"
    r"|balance|focus|training|precision|dedication)\b"
    r"|\b(?:is|are) (?:considered|regarded as|defined as|an important|enjoyed by|popular)\b"
)

# A step that brings about nothing but a sound or a state of mind: "maintaining focus".
UNSEEN_RESULT = re.compile(
    r"^(?:maintain|keep|stay|build|gain|find|evaluat|produc|emit|generat|sustain|hear)\w* "
    r"(?:(?!and )[\w'-]+ ){0,3}(?P<head>[\w'-]+)$"
)

# Verbs whose object may be unseen while their doing is seen: "sniffing the aroma".
SEEN_VERBS = re.compile(
    r"\b(?:play|perform|mak|creat|produc|show|seek|hav|sniff|smell|tast|express|generat|indicat|secur"
    r"|giv|bring|record|writ|read|listen|sing|relish|savor|enjoy|captur|convey|display|shar|releas"
    r"|conduct|convert|add|mix|adjust|us|test|check)ing\b"
)

MIND_VERBS = re.compile(
    r"^(?:to )?(?:think|decid|understand|remember|memoriz|memoris|enjoy|appreciat|anticipat|believ"
    r"|realiz|realis|imagin|learn|consider|hop|wonder|recall)(?:e|es|s|ing)?\b"
    r"|^feel(?:s|ing)? (?:the|a|an|relaxed|good|great|proud|happy|refreshed|confident|satisfied)\b"
)
