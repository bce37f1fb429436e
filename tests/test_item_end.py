"""Where items end, by hand-worked cases; and the same answer for every cut into pieces."""

import pytest

from codebench.item_end import ItemScanner
from codebench.prompts.model import Language

FN = "fn f(n: u64) -> u64 {"
DEF = 'def f(x):\n    """Doc."""\n'


def kept(language: Language, prefix: str, marked: str) -> str:
    """Return what the scanner keeps of `marked` without its mark."""
    text = marked.replace("¦", "")
    end = ItemScanner(language, prefix).feed(text)
    return "" if end is None else text[:end] + "¦" + text[end:]


RUST_CASES = {
    "plain": (FN, " n }¦\n\nfn g() {}"),
    "nested": (FN, " if n > 0 { 1 } else { 2 } }¦ }"),
    "line comment": (FN, " // }\n n }¦ x"),
    "block comment": (FN, " /* } /* } */ } */ n }¦ x"),
    "block comment that looks closed": (FN, " /*/ } */ n }¦"),
    "division": (FN, " n / 2 }¦"),
    "string": (FN, r' "}\"}\\"; n }¦ x'),
    "byte and C strings": (FN, r' b"}"; c"}"; n }¦'),
    "raw string": (FN, ' r"}\\"; n }¦ "'),
    "raw string with hashes": (FN, ' r##"}"# }"##; br#"}"#; cr#"}"}"#; n }¦'),
    "char literals": (FN, r" '{'; '}'; '\''; '\u{7D}'; '\\'; '\"'; ' '; b'}'; n }¦"),
    "quote in a char literal": (FN, """ '"'; n }¦ '"'"""),
    "lifetimes": (
        FN,
        " let a: &'a str; let b: &'static S; x::<'_>(); 'l: loop { break 'l } }¦ '",
    ),
    "lifetime before a brace": ("impl<'a> S<'a> {", " fn f(&'a self) -> X<'a>{} }¦"),
    "quote before the brace": (FN, " ' }¦ "),
    "multi-character literal": (FN, " 'ab'; n }¦"),
    "raw identifier": (FN, ' r#fn(); r#type; n }¦ "'),
    "identifier that ends in r": (FN, ' foor"}"; n }¦'),
    "mismatched parentheses": (FN, " )]) n }¦"),
    "macro": (FN, ' println!("{}", n); vec![1]; n }¦'),
    "prompt opened two": ("impl P { fn a() {", " } fn b() {} }¦ }"),
    "unit struct": ("struct A", ";¦ struct B;"),
    "tuple struct": ("pub struct A", "(pub [u8; 3]);¦ x"),
    "header left open": ("fn f", "(a: [u8; 3]) -> u8 { a[0] }¦ }"),
    "const": ("const A: P", " = P { x: 1 };¦ x"),
    "const fn": ("pub const unsafe fn f()", " { g(); }¦ ;"),
    "const of a function type": ("const A: fn() = ", "{ f };¦"),
    "use": ("", "use a::{b, c};¦ fn f() {}"),
    "macro_rules": ("macro_rules! m {", " ($($x:expr),*) => {{ vec![$($x),*] }}; }¦ m!();"),
    "attribute": ("#[derive(Debug)]\nstruct P {", " x: u8 }¦"),
    "context and prompt": ("struct P { x: u8 }\nimpl P {", " fn f() {} }¦ x"),
    "stray brace before the item": ("", "} fn f() {}¦ x"),
    "brace in the prompt's string": ('fn f(s: &str) {\n    let a = "{";\n', "}¦ }"),
    "comment that the prompt began": ("fn f() { // ", "}\n}¦"),
    "non-ASCII": (FN, " '好'; '😀'; \"}é\"; n }¦ 好"),
    "CRLF": (FN, "\r\n // }\r\n n\r\n}¦\r\n"),
}

PYTHON_CASES = {
    "def": (DEF, "    return x\n¦\n\ndef g():\n"),
    "trailing comments": (DEF, "    return x\n¦# c\n\n    # d\nprint(1)"),
    "comment at column 0": (DEF, "    a = 1\n# c\n    return a\n¦x"),
    "nested": (DEF, "    def g():\n        pass\n    return g\n¦f(1)"),
    "triple string": (DEF, "    a = '''\nx\n'' \\''' '\n'''\n    return a\n¦x"),
    "string prefixes": (DEF, "    a = rb'\\'(' f\"(\" Rb'''\nx'''\n¦x"),
    "brackets": (DEF, "    a = [\n1,\n(2\n)]\n    return a\n¦x"),
    "backslash": (DEF, "    a = 1 + \\\n2\n¦x"),
    "hash in a string": (DEF, "    a = '#('\n    b = 1  # (\n¦x"),
    "empty strings": (DEF, "    a = '' + \"\"\n    b = ''''''\n¦x"),
    "unterminated string": (DEF, "    a = 'x\n¦b"),
    "class": ("class C:\n", "    def f(self):\n        pass\n\n    x = 1\n¦class D: pass"),
    "tabs": ("class C:\n  def f(self):\n", "\tpass\n¦x"),
    "method": ("    def f(self):\n", "        pass\n¦    def g(self): pass"),
    "newline left out": ("def f(x):", "\n    return x\n¦x"),
    "open parameter list": ("def f(\n", "x,\ny):\n    return x\n¦x"),
    "no body": (DEF, "¦return x"),
    "helpers before it": ("import a\n\ndef g():\n    pass\n\n\ndef f():\n", "    pass\n¦x"),
    "async": ("async def f():\n", "    pass\n¦async def g(): pass"),
    "decorated": ("@d\ndef f():\n", "    pass\n¦@d\ndef g(): pass"),
    "empty prefix": ("", "import a\n@d\ndef f():\n    pass\n¦x = 1"),
    "CRLF": ("def f():\r\n", "    a = 1\\\r\n+2\r\n¦\r\nx"),
    "carriage returns": ("def f():\r", "    pass\r¦x"),
    "half a line in the prefix": ("def f():\n    ", "return 1\n¦x"),
    "stray closing bracket": (DEF, "    a)\n¦x"),
    "begins anew": (DEF, "import a\n\ndef g():\n    pass\n\ndef f(x):\n    pass\n¦g()"),
    "begins anew, decorated": (DEF, "@d\ndef f(x):\n    pass\n¦x"),
    "begins anew, async": (DEF, "from a import b\nasync def f(x):\n    pass\n¦x"),
    "no beginning": (DEF, "¦\n\nprint(f(1))\nimport a\ndef f(x):\n    pass\nx"),
    "no beginning below a body": (DEF, "    a\n¦import a\ndef f(x):\n    pass\nx"),
    "no beginning below a method": ("    def f(self):\n", "¦def f(x):\n    pass\nx"),
}

CASES = [
    pytest.param(language, *case, id=f"{language}-{name}")
    for language, cases in ((Language.RUST, RUST_CASES), (Language.PYTHON, PYTHON_CASES))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("language", "prefix", "marked"), CASES)
def test_item_ends_where_marked(language: Language, prefix: str, marked: str) -> None:
    """The item ends at the mark, on good code and on broken code."""
    assert kept(language, prefix, marked) == marked


@pytest.mark.parametrize(("language", "prefix", "marked"), CASES)
def test_pieces_change_nothing(language: Language, prefix: str, marked: str) -> None:
    """Every cut in two, the cut into single characters and a cut of the prefix agree."""
    text = marked.replace("¦", "")
    end = marked.index("¦")
    for cut in range(len(text) + 1):
        scanner = ItemScanner(language, prefix)
        scanner.feed(text[:cut])
        assert scanner.feed(text[cut:]) == end
    scanner = ItemScanner(language, prefix)
    assert [scanner.feed(char) for char in text][-1] == end


@pytest.mark.parametrize(
    ("language", "prefix", "text"),
    [
        (Language.RUST, FN, " n"),
        (Language.RUST, FN, ""),
        (Language.RUST, FN, ' "}'),
        (Language.RUST, FN, ' r#"}"}'),
        (Language.RUST, FN, " /* } */ // }"),
        (Language.RUST, FN, " '}'"),
        (Language.RUST, FN, " { }"),
        (Language.RUST, "struct A", "(u8)"),
        (Language.RUST, "fn f", "() }"),
        (Language.PYTHON, DEF, "    return x\n"),
        (Language.PYTHON, DEF, "    return x\n\n# c\n"),
        (Language.PYTHON, DEF, "    a = (\nx\n"),
        (Language.PYTHON, DEF, "    a = '''\nx\n"),
        (Language.PYTHON, "", "import a\nx = 1\n"),
    ],
)
def test_open_item_has_no_end(language: Language, prefix: str, text: str) -> None:
    """Nothing is cut while the item, a string, a comment or a bracket is open."""
    scanner = ItemScanner(language, prefix)
    assert {scanner.feed(char) for char in text} <= {None}
    assert ItemScanner(language, prefix).feed(text) is None


@pytest.mark.parametrize("prefix", ["", '"""Write f.\nassert f(1) == 1\n"""\n', "import a\n"])
def test_a_prefix_without_an_item_is_followed_by_the_named_one(prefix: str) -> None:
    """Helpers before the function that was asked for do not end it, and a longer name is none."""
    text = "import b\n\ndef ff():\n    pass\n\n@d\ndef f(x):\n    return ff()\n"
    for cut in range(len(text)):
        scanner = ItemScanner(Language.PYTHON, prefix, name="f")
        assert scanner.feed(text[:cut]) is None
        assert scanner.feed(text[cut:] + "f(1)\n") == len(text)


def test_the_item_of_the_prefix_has_its_own_name() -> None:
    """A name is for prefixes without an item: one that opens something else is left at that."""
    scanner = ItemScanner(Language.PYTHON, DEF, name="g")
    assert scanner.feed("    return x\nx") == 13


def test_a_word_of_any_length_is_read_once() -> None:
    """Ten megabytes without a space take no longer than ten megabytes with them."""
    for language, prefix in ((Language.RUST, FN), (Language.PYTHON, DEF)):
        assert ItemScanner(language, prefix).feed("    " + "x" * 2_000_000) is None


def test_end_stays_known() -> None:
    """Text fed after the end changes nothing."""
    scanner = ItemScanner(Language.RUST, FN)
    assert scanner.feed(" n }") == 4
    assert scanner.feed(" } fn g() {}") == 4
