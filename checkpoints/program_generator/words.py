"""All names that generated programs may declare.

Every name of a function, type, trait or macro is drawn from the lists here or joined from two of
them, so the set of declared names is finite, and a test proves it disjoint from the names that
the prompt sets ask for. LANGUAGE_NAMES are the exception: methods that Rust's own traits fix.
"""


def listed(text: str, separator: str = " ") -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split(separator))


VERBS = listed(
    "adjust blend clip collect combine compute cover derive encode estimate expand fold gauge "
    "grade group inspect join keep locate lookup mark measure mix narrow pick prepare probe rank "
    "read refine scan score select shift shrink split stretch tally track trim update weigh wrap"
)
NOUNS = listed(
    "amount area batch block bounds budget cells chunk cost digits distance entries fields frame "
    "gap grid height index input interval label lengths letters level lines margin marks names "
    "offset order pairs parts points price quota range rate record rows samples scores signal "
    "size slots steps sum tags text tokens total units values weights width window words"
)
METHOD_VERBS = listed("adjusted combined has is_over lower raise reset scaled shifted upper with")

TYPE_NAMES = listed(
    "Account Basket Batch Beacon Book Camera Kite Cell Circuit City Clock Cursor Device "
    "Engine Entry Event Field Frame Game Group House Image Interval Invoice Job Lamp Layer "
    "Ledger Letter Machine Marker Meter Order Packet Page Parcel Pixel Planet Player Policy "
    "Product Profile Record Rect Report Room Route Sample Sensor Session "
    "Signal Slot Station Sticker Tank Team Ticket Tile Token Tower Track Truck Vector Vehicle "
    "Vessel Wallet Widget Window"
)
ENUM_NAMES = listed(
    "Access Action Axis Channel Currency Day Fuel Gear Grade Language Level Material "
    "Medal Mode Mood Phase Orbit Priority Rank Season Size Speed Suit Terrain "
    "Unit Weather Zone"
)
TRAIT_NAMES = listed(
    "Adjustable Billable Comparable Describe Encoder Filterable Gauge HasArea Inspect Labeled "
    "Measure Named Printable Rated Renderer Resettable Scorer Source Tracker Validator "
    "Visitor Weighted"
)
VARIANTS = listed(
    "Alpha Beta Closed Cold Cubic Custom Delta Down East Empty Fast First Flat Full Gamma Hard "
    "High Hot Idle Large Last Left Linear Loud Low Medium Minor Near North Open Paused Plain "
    "Quiet Ready Right Rough Round Slow Small Soft South Steep Stopped Third Tiny Up West Wide"
)

LITERALS = listed(
    "amber apple birch book cedar chalk clay copper cork dust east fern flint glass grain harbor "
    "hill iron ivory lake lemon linen maple mint moss north oak olive paper pearl pine plum reed "
    "river rope rose salt sand silk slate stone straw tin wheat willow wool"
)
MESSAGES = listed(
    "bad input;empty value;limit reached;missing field;no match;not allowed;out of range;too large;"
    "too small;unknown name;wrong length",
    ";",
)
LETTERS = "abcdeghkmnoprstuwz"

PARAMETERS = {
    "int": listed("n a b k m x y count limit value size start width height p q step"),
    "f64": listed("x y a b ratio scale weight factor t r"),
    "bool": listed("flag ready strict enabled on"),
    "char": listed("c letter mark symbol ch"),
    "String": listed("name label title message s text"),
    "&str": listed("s text input line word key name path a b source"),
    "Vec": listed("items a values list data b nums rows xs left right cells samples"),
    "Option": listed("found choice entry maybe"),
    "tuple": listed("pair bounds span"),
}
"""Names of parameters by the family of their type."""

LOCALS = {
    "int": listed("total result sum best current next step acc base"),
    "f64": listed("total average result acc base"),
    "bool": listed("seen valid done changed"),
    "char": listed("first last key"),
    "String": listed("result output out joined buffer"),
    "&str": listed("trimmed part rest head"),
    "Vec": listed("result output out kept parts"),
    "Option": listed("best latest candidate hit"),
    "tuple": listed("ends both split"),
}
"""Names of local variables by the family of their type."""

ELEMENTS = {
    "int": listed("x v item num e"),
    "f64": listed("x v item"),
    "char": listed("c ch"),
    "&str": listed("w part item"),
}
"""Names of loop and closure variables by the family of their type."""

FIELDS = {
    "int": listed(
        "count width height depth left top age a b u w z row col points score size id stock"
    ),
    "f64": listed("price ratio weight a b u w z h r lat lon speed scale cost radius"),
    "bool": listed("active visible locked ready open"),
    "char": listed("mark grade sign"),
    "String": listed("name label title owner code text"),
    "Vec": listed("items scores tags rows entries"),
    "Option": listed("parent limit note"),
}
"""Names of struct fields by the family of their type."""

MACRO_HEADS = listed("list map pack row set total")
ASYNC_SOURCES = listed("load query open ask seek look_up")
SETTERS = listed("set update put add raise grow push")
TRAIT_METHODS = listed("name size run next_value apply check finish describe peek")
TRAIT_TYPES = listed("Output Item Error Value")
LANGUAGE_NAMES = frozenset(listed("new fmt default from add sub mul eq to_string"))
"""Methods whose names the language or its customs fix; every program may have them."""


def declared_names() -> set[str]:
    """Every name outside LANGUAGE_NAMES that a generated program can declare."""
    fields = {field for names in FIELDS.values() for field in names}
    joined = {
        *(f"{verb}_{noun}" for verb in (*VERBS, *METHOD_VERBS) for noun in NOUNS),
        *(f"{verb}_{field}" for verb in (*METHOD_VERBS, *SETTERS) for field in fields),
        *(f"{head}_of_{noun}" for head in MACRO_HEADS for noun in NOUNS),
    }
    joined |= {f"{first}{second}" for first in VARIANTS for second in TYPE_NAMES}
    types = {*TYPE_NAMES, *ENUM_NAMES, *TRAIT_NAMES}
    return joined | types | fields | {*ASYNC_SOURCES, *TRAIT_METHODS, *LITERALS}
