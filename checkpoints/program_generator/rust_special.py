"""Items of their own shape: async functions, macros, generics, closures, lifetimes, consts."""

from random import Random

from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.rust_functions import Function, function, function_name, weighted
from program_generator.scope import Scope
from program_generator.words import (
    ASYNC_SOURCES,
    LITERALS,
    MACRO_HEADS,
    MESSAGES,
    NOUNS,
    PARAMETERS,
)

ASYNC_RESULTS = (
    ("Result<String, String>", 5), ("String", 2), ("i32", 1), ("Result<i32, String>", 2),
    ("u64", 1), ("usize", 1), ("bool", 1), ("Option<i32>", 1), ("Vec<i32>", 1),
)  # fmt: skip


def async_function(rng: Random) -> Lines:
    """An async function without await."""
    return function(rng, head="async fn", result=weighted(rng, ASYNC_RESULTS))


def async_pair(rng: Random) -> list[Lines]:
    """An async function that answers by key, and one that awaits it."""
    first = rng.choice(ASYNC_SOURCES) if rng.random() < 0.4 else function_name(rng)
    key = rng.choice(("key", "name", "id", "url", "path"))
    inner = rng.choice(("String", "String", "String", "i32", "u32"))
    values = rng.sample(LITERALS, 2)
    good = [f'"{v}" => Ok({Expressions(rng, Scope(rng)).literal(inner)}),' for v in values]
    message = rng.choice(MESSAGES)
    bad = rng.choice(
        (f'_ => Err("{message}".to_string()),', f'_ => Err(format!("{message}: {{{key}}}")),')
    )
    body = [f"match {key} {{", *indented([*good, bad]), "}"]
    source = [f"async fn {first}({key}: &str) -> Result<{inner}, String> {{", *indented(body), "}"]
    other = rng.choice((key, key, "key", "text", "input"))
    name = rng.choice(("text", "value", "found", "body"))
    call = f"{first}({other}).await"
    if inner == "String":
        last = rng.choice(
            (name, name, f"{name}.to_uppercase()", f'format!("{{}}: {{}}", {other}, {name})')
        )
    else:
        last = rng.choice((name, f"{name} + {rng.choice((1, 2, 5))}", f"{name} * 2"))
    arms = [f"Ok({name}) => Ok({last}),", "Err(e) => Err(e),"]
    guard = [f"if {other}.is_empty() {{", f'    return Err("{message}".to_string());', "}"]
    endings = (
        [f"let {name} = {call}?;", f"Ok({last})"],
        [f"match {call} {{", *indented(arms), "}"],
        [*guard, f"let {name} = {call}?;", f"Ok({last})"],
        [*guard, call],
    )
    head = f"async fn {function_name(rng)}({other}: &str) -> Result<{inner}, String> {{"
    return [source, [head, *indented(rng.choice(endings)), "}"]]


def macro(rng: Random) -> Lines:
    """A macro_rules! macro with one or two arms."""
    name = f"{rng.choice(MACRO_HEADS)}_of_{rng.choice(NOUNS)}"
    x = rng.choice(("x", "item", "value", "e", "arg"))
    comma = rng.choice((" $(,)?", "", "", " $(,)?"))
    many = f"($(${x}:expr),*{comma})"
    arms = rng.choice(
        (
            [f"{many} => {{", f"    vec![$(${x}.to_string()),*]", "};"],
            [f"{many} => {{", f"    vec![$(${x}.to_string()),*]", "};"],
            [f"{many} => {{", f'    [$(format!("{{}}", ${x})),*]', "};"],
            [f"{many} => {{", f"    vec![$(${x}),*]", "};"],
            [f"{many} => {{", f"    0 $(+ ${x})*", "};"],
            [f"{many} => {{", *indented(pushing(rng, x)), "};"],
            [f"{many} => {{", *indented(pushing(rng, x)), "};"],
            [f"(${x}:expr) => {{", f"    ${x} {rng.choice('+*')} {rng.choice((2, 3, 5))}", "};"],
            [f"(${x}:expr) => {{", f'    format!("{rng.choice(LITERALS)} {{}}", ${x})', "};"],
            [f"(${x}:expr, $y:expr) => {{", f"    if ${x} > $y {{ ${x} }} else {{ $y }}", "};"],
        )
    )
    if rng.random() < 0.25 and arms[0].startswith("($("):
        empty = "Vec::<String>::new()" if "to_string" in "".join(arms) else "Vec::<i32>::new()"
        arms = ["() => {", f"    {empty}", "};", *arms]
    return [f"macro_rules! {name} {{", *indented(arms), "}"]


def pushing(rng: Random, x: str) -> Lines:
    """The block of a macro that fills a vector."""
    v = rng.choice(("v", "out", "list", "result"))
    value = rng.choice(
        (f"${x}.to_string()", f"${x}.to_string()", f"${x}", f'format!("{{}}", ${x})')
    )
    lines = [f"let mut {v} = Vec::new();", f"$({v}.push({value});)*", v]
    return ["{", *indented(lines), "}"]


def generic_function(rng: Random) -> Lines:
    """A function with a type parameter and its bounds."""
    name, items = function_name(rng), rng.choice(PARAMETERS["Vec"])
    k = rng.choice((0, 1, 2))
    shapes = (
        (f"<T: Clone>({items}: &[T]) -> Vec<T>", [f"{items}.iter().skip({k}).cloned().collect()"]),
        (f"<T: Clone>({items}: &[T]) -> Option<T>", [f"{items}.get({k}).cloned()"]),
        (f"<T: std::fmt::Display>({items}: &[T]) -> String", [
            "let mut out = String::new();", f"for x in {items} {{",
            "    out.push_str(&x.to_string());", "}", "out",
        ]),
        ("<T: std::fmt::Display>(value: T) -> String", [
            f'format!("{rng.choice(LITERALS)} {{}}", value)']),
        (f"<T: PartialEq>({items}: &[T], value: &T) -> usize", [
            f"{items}.iter().filter(|x| *x == value).count()"]),
        ("<T: PartialOrd + Copy>(a: T, b: T) -> T", [
            f"if a {rng.choice('<>')} b {{", "    a", "} else {", "    b", "}"]),
        (f"<T: Ord + Copy>({items}: &[T]) -> Vec<T>", [
            f"let mut out = {items}.to_vec();", "out.sort();", "out"]),
        (f"<T: Default>({items}: Vec<T>) -> usize", [f"{items}.len() + {k}"]),
        ("<T, F: Fn(T) -> T>(value: T, f: F) -> T", [rng.choice(("f(value)", "f(f(value))"))]),
        (f"<F>({items}: &[i32], f: F) -> Vec<i32> where F: Fn(i32) -> i32", [
            f"{items}.iter().map(|&x| f(x)).collect()"]),
    )  # fmt: skip
    head, body = rng.choice(shapes)
    return [f"fn {name}{head} {{", *indented(list(body)), "}"]


def shaped_function(rng: Random) -> Lines:
    """A function whose signature shows one idea: lifetimes, closures, &mut, boxes, maps."""
    name, k = function_name(rng), rng.choice((1, 2, 3, 5, 10))
    items, sign = rng.choice(PARAMETERS["Vec"]), rng.choice("+*")
    made = Function(rng)
    made.scope.add("x", "i32")
    test, test_x = rng.choice("<>"), made.expressions.condition(0)
    shapes = (
        ("<'a>(a: &'a str, b: &'a str) -> &'a str", [
            f"if a.len() {test} b.len() {{", "    a", "} else {", "    b", "}"]),
        ("<'a>(text: &'a str) -> &'a str", [f"text.split(' ').nth({k}).unwrap_or(\"\")"]),
        ("(n: i32) -> impl Fn(i32) -> i32", [f"move |x| x {sign} n"]),
        ("(n: i32) -> Box<dyn Fn(i32) -> i32>", [f"Box::new(move |x| x {sign} n + {k})"]),
        ("(f: impl Fn(i32) -> i32, n: i32) -> i32", [f"f(n) {sign} {k}"]),
        (f"({items}: &mut Vec<i32>)", [f"{items}.retain(|&x| {test_x});"]),
        (f"({items}: &mut Vec<i32>, value: i32)", [
            f"if !{items}.contains(&value) {{", f"    {items}.push(value);", "}"]),
        (f"({items}: &mut [i32])", [
            f"for x in {items}.iter_mut() {{", f"    *x {sign}= {k};", "}"]),
        ("(n: &mut i32)", [f"*n {sign}= {k};"]),
        ("(value: Box<i32>) -> i32", [f"*value {sign} {k}"]),
        ("(value: std::rc::Rc<i32>) -> i32", [f"*value {sign} {k}"]),
        ("(cell: &std::cell::RefCell<i32>)", [f"*cell.borrow_mut() {sign}= {k};"]),
        ("(ptr: *const i32) -> i32", [f"unsafe {{ *ptr {sign} {k} }}"]),
        ("(text: &str) -> std::collections::HashMap<char, usize>", [
            "let mut map = std::collections::HashMap::new();", "for c in text.chars() {",
            f"    *map.entry(c).or_insert(0) += {k};", "}", "map"]),
        (f"({items}: Vec<i32>) -> i32", [
            f"let handle = std::thread::spawn(move || {items}.iter().sum::<i32>());",
            f"handle.join().unwrap_or({k})"]),
        ("(pair: (i32, i32)) -> i32", ["let (a, b) = pair;", f"a {sign} b + {k}"]),
        (f"({items}: &[i32]) -> i32", [
            f"match {items} {{", f"    [] => {k},", "    [one] => *one,",
            f"    [first, .., last] => first {sign} last,", "}"]),
    )  # fmt: skip
    head, body = rng.choice(shapes)
    unsafe = "unsafe " if "unsafe" in "".join(body) and rng.random() < 0.3 else ""
    return [f"{unsafe}fn {name}{head} {{", *indented(list(body)), "}"]


def const_function(rng: Random) -> Lines:
    """A const fn, sometimes with a constant before it."""
    made = Function(rng)
    kind = rng.choice(("u32", "u64", "i32", "usize"))
    declared = made.parameters([kind])
    n, k = declared.split(":")[0], rng.choice((2, 3, 5, 10))
    body = rng.choice(([f"{n} * {k}"], [f"{n} + {k}"], [f"if {n} > {k} {{ {n} }} else {{ {k} }}"]))
    return [f"const fn {function_name(rng)}({declared}) -> {kind} {{", *indented(body), "}"]


def module(rng: Random) -> Lines:
    """A module with one public function."""
    inner = function(rng, head="pub fn", result=rng.choice(("i32", "bool", "String", "f64", "u64")))
    if inner[0].startswith("fn "):
        inner[0] = f"pub {inner[0]}"
    return [f"mod {rng.choice(LITERALS)} {{", *indented(inner), "}"]
