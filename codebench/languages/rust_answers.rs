// The crate that a program's tests are written with, linked into every driver. It looks at answers
// and sends them out; it judges nothing. An answer leaves as one line on descriptor 3: its number,
// its check, its kind, its texts, and a SipHash-2-4 of all that under a key that the driver holds.
// Builds with rustc 1.63 and later.
#![allow(warnings)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::Write as _;
use std::hash::{Hasher as _, SipHasher};
use std::io::Write as _;
use std::os::unix::io::FromRawFd as _;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);
static KEY: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));
/// Longer answers leave as their head and a hash.
const LONG: usize = 4096;

fn hash(keys: (u64, u64), text: &str) -> u64 {
    let mut hasher = SipHasher::new_with_keys(keys.0, keys.1);
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn emit(number: u32, kind: char, texts: &[&str]) {
    let mut line = format!(
        "{}\t{}\t{}",
        COUNT.fetch_add(1, Ordering::SeqCst),
        number,
        kind
    );
    for text in texts {
        line.push('\t');
        if text.len() <= LONG {
            line.push_str(text);
        } else {
            line.extend(text.chars().take(200));
            let _ = write!(line, "...~{}~{:016x}", text.len(), hash((0, 0), text));
        }
    }
    let key = (KEY.0.load(Ordering::SeqCst), KEY.1.load(Ordering::SeqCst));
    let _ = write!(line, "\t{:016x}\n", hash(key, &line));
    let mut channel = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(3) });
    let _ = channel.write_all(line.as_bytes());
}

/// Runs the tests one after the other; one that panics does not end the next.
pub fn run(key: (u64, u64), tests: &[fn()]) -> ! {
    KEY.0.store(key.0, Ordering::SeqCst);
    KEY.1.store(key.1, Ordering::SeqCst);
    for (number, test) in tests.iter().enumerate() {
        let ended = std::panic::catch_unwind(*test);
        emit(
            number as u32,
            't',
            &[if ended.is_ok() { "done" } else { "panicked" }],
        );
        std::mem::forget(ended);
    }
    emit(0, 'e', &[]);
    std::process::exit(0)
}

pub fn truth(check: u32, held: core::primitive::bool) {
    emit(check, 'v', &[if held { "true" } else { "false" }]);
}

/// The type of the expected answer is one of the standard library's own, or the program's.
pub struct Std;
pub struct Own;
pub struct Tag<'a, B: ?Sized>(pub &'a B);
pub trait OfStd {
    fn tag(&self) -> Std {
        Std
    }
}
impl<B: ?Sized + Answer> OfStd for Tag<'_, B> {}
pub trait OfOwn {
    fn tag(&self) -> Own {
        Own
    }
}
impl<B: ?Sized> OfOwn for &Tag<'_, B> {}

/// Whether a comparison holds, and how its sides look where they can be shown.
pub struct Held(pub bool, pub [String; 2]);

fn own<A: ?Sized>(check: u32, _: &A, held: Held) {
    let Held(held, [a, b]) = held;
    let held = if held { "true" } else { "false" };
    emit(check, 'o', &[held, std::any::type_name::<A>(), &a, &b]);
}

pub struct Look<'a, A: ?Sized>(pub &'a A);
pub trait Shown {
    fn look(&self) -> String;
}
impl<A: ?Sized + std::fmt::Debug> Shown for Look<'_, A> {
    fn look(&self) -> String {
        let mut out = String::new();
        for character in format!("{:?}", self.0).chars() {
            if character.is_control() {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        out
    }
}
pub trait Hidden {
    fn look(&self) -> String {
        String::new()
    }
}
impl<A: ?Sized> Hidden for &Look<'_, A> {}

/// Sends an answer; what is expected is not evaluated unless it is of the program's own type.
pub trait Value<A: ?Sized> {
    fn send(check: u32, a: &A, held: impl FnOnce() -> (Held, Self));
}
impl<A: ?Sized + Answer> Value<A> for Std {
    fn send(check: u32, a: &A, _: impl FnOnce() -> (Held, Self)) {
        emit(check, 'v', &[&text(a)]);
    }
}
impl<A: ?Sized> Value<A> for Own {
    fn send(check: u32, a: &A, held: impl FnOnce() -> (Held, Self)) {
        own(check, a, held().0);
    }
}
pub fn value<A: ?Sized, T: Value<A>>(check: u32, a: &A, held: impl FnOnce() -> (Held, T)) {
    T::send(check, a, held);
}

/// Sends both sides of a comparison.
pub trait Pair<A: ?Sized, B: ?Sized> {
    fn send(self, check: u32, a: &A, b: &B, held: impl FnOnce() -> Held);
}
impl<A: ?Sized + Answer, B: ?Sized + Answer> Pair<A, B> for Std {
    fn send(self, check: u32, a: &A, b: &B, _: impl FnOnce() -> Held) {
        emit(check, 'p', &[&text(a), &text(b)]);
    }
}
impl<A: ?Sized, B: ?Sized> Pair<A, B> for Own {
    fn send(self, check: u32, a: &A, _: &B, held: impl FnOnce() -> Held) {
        own(check, a, held());
    }
}

/// Sends what is expected, for a program whose answers do not exist.
pub trait Expected<B: ?Sized> {
    fn send(self, check: u32, b: &B);
}
impl<B: ?Sized + Answer> Expected<B> for Std {
    fn send(self, check: u32, b: &B) {
        emit(check, 'p', &["", &text(b)]);
    }
}
impl<B: ?Sized> Expected<B> for Own {
    fn send(self, check: u32, _: &B) {
        emit(check, 'o', &["true", ""]);
    }
}
pub fn unseen(check: u32) {
    emit(check, 'p', &["", ""]);
}

fn text<A: ?Sized + Answer>(answer: &A) -> String {
    let mut out = String::new();
    answer.put(&mut out);
    out
}

/// A type whose values are written alike exactly if they are equal, across types too
/// (`String` and `str`, `Vec` and array) but for integers and floats.
pub trait Answer {
    fn put(&self, out: &mut String);
}

macro_rules! as_displayed {
    ($($t:ty)*) => { $(impl Answer for $t {
        fn put(&self, out: &mut String) { let _ = write!(out, "{}", self); }
    })* };
}
as_displayed! {
    i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize bool
    std::num::NonZeroI8 std::num::NonZeroI16 std::num::NonZeroI32 std::num::NonZeroI64
    std::num::NonZeroI128 std::num::NonZeroIsize std::num::NonZeroU8 std::num::NonZeroU16
    std::num::NonZeroU32 std::num::NonZeroU64 std::num::NonZeroU128 std::num::NonZeroUsize
    std::net::IpAddr std::net::Ipv4Addr std::net::Ipv6Addr std::net::SocketAddr
}

macro_rules! as_debugged {
    ($($t:ty)*) => { $(impl Answer for $t {
        fn put(&self, out: &mut String) { let _ = write!(out, "{:?}", self); }
    })* };
}
as_debugged! {
    std::num::ParseIntError std::num::ParseFloatError std::num::TryFromIntError
    std::num::IntErrorKind std::num::FpCategory std::str::ParseBoolError
    std::char::ParseCharError std::str::Utf8Error std::string::FromUtf8Error std::fmt::Error
    std::cmp::Ordering std::io::ErrorKind std::any::TypeId std::convert::Infallible
    std::net::AddrParseError std::ops::RangeFull
}

macro_rules! as_float {
    ($($t:ty)*) => { $(impl Answer for $t {
        fn put(&self, out: &mut String) {
            let float = if *self == 0.0 { 0.0 } else { f64::from(*self) };
            let _ = write!(out, "{:?}", float);
        }
    })* };
}
as_float! { f32 f64 }

fn quote(character: char, out: &mut String) {
    match character {
        '"' | '\'' | '\\' => {
            out.push('\\');
            out.push(character)
        }
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        _ if character.is_control() => {
            let _ = write!(out, "\\u{{{:x}}}", character as u32);
        }
        _ => out.push(character),
    }
}
impl Answer for char {
    fn put(&self, out: &mut String) {
        out.push('\'');
        quote(*self, out);
        out.push('\'');
    }
}
impl Answer for str {
    fn put(&self, out: &mut String) {
        out.push('"');
        for character in self.chars() {
            quote(character, out);
        }
        out.push('"');
    }
}
impl Answer for String {
    fn put(&self, out: &mut String) {
        self.as_str().put(out)
    }
}
impl Answer for std::time::Duration {
    fn put(&self, out: &mut String) {
        let _ = write!(out, "Duration({}, {})", self.as_secs(), self.subsec_nanos());
    }
}

macro_rules! by_reference {
    ($($t:ty)*) => { $(impl<T: ?Sized + Answer> Answer for $t {
        fn put(&self, out: &mut String) { (**self).put(out) }
    })* };
}
by_reference! { &T &mut T Box<T> std::rc::Rc<T> std::sync::Arc<T> std::pin::Pin<Box<T>> }
impl<T: ?Sized + ToOwned + Answer> Answer for Cow<'_, T> {
    fn put(&self, out: &mut String) {
        (**self).put(out)
    }
}

fn list<'a, T: Answer + 'a>(ends: [char; 2], items: impl Iterator<Item = &'a T>, out: &mut String) {
    out.push(ends[0]);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        item.put(out);
    }
    out.push(ends[1]);
}
impl<T: Answer> Answer for [T] {
    fn put(&self, out: &mut String) {
        list(['[', ']'], self.iter(), out)
    }
}
impl<T: Answer, const N: usize> Answer for [T; N] {
    fn put(&self, out: &mut String) {
        list(['[', ']'], self.iter(), out)
    }
}
impl<T: Answer> Answer for Vec<T> {
    fn put(&self, out: &mut String) {
        list(['[', ']'], self.iter(), out)
    }
}
impl<T: Answer> Answer for VecDeque<T> {
    fn put(&self, out: &mut String) {
        list(['[', ']'], self.iter(), out)
    }
}
impl<T: Answer> Answer for LinkedList<T> {
    fn put(&self, out: &mut String) {
        list(['[', ']'], self.iter(), out)
    }
}
impl<T: Answer> Answer for BTreeSet<T> {
    fn put(&self, out: &mut String) {
        list(['{', '}'], self.iter(), out)
    }
}

/// Items without an order of their own stand in the order of their texts.
fn sorted(mut items: Vec<String>, out: &mut String) {
    items.sort();
    out.push('{');
    out.push_str(&items.join(", "));
    out.push('}');
}
fn entry<K: Answer, V: Answer>((key, value): (&K, &V)) -> String {
    let mut out = text(key);
    out.push_str(": ");
    value.put(&mut out);
    out
}
impl<T: Answer, S> Answer for HashSet<T, S> {
    fn put(&self, out: &mut String) {
        sorted(self.iter().map(text).collect(), out)
    }
}
impl<K: Answer, V: Answer, S> Answer for HashMap<K, V, S> {
    fn put(&self, out: &mut String) {
        sorted(self.iter().map(entry).collect(), out)
    }
}
impl<K: Answer, V: Answer> Answer for BTreeMap<K, V> {
    fn put(&self, out: &mut String) {
        out.push('{');
        out.push_str(&self.iter().map(entry).collect::<Vec<_>>().join(", "));
        out.push('}');
    }
}

fn named(name: &str, inner: &impl Answer, out: &mut String) {
    out.push_str(name);
    out.push('(');
    inner.put(out);
    out.push(')');
}
impl<T: Answer> Answer for Option<T> {
    fn put(&self, out: &mut String) {
        match self {
            Some(inner) => named("Some", inner, out),
            None => out.push_str("None"),
        }
    }
}
impl<T: Answer, E: Answer> Answer for Result<T, E> {
    fn put(&self, out: &mut String) {
        match self {
            Ok(inner) => named("Ok", inner, out),
            Err(inner) => named("Err", inner, out),
        }
    }
}
impl<T: Answer> Answer for std::task::Poll<T> {
    fn put(&self, out: &mut String) {
        match self {
            std::task::Poll::Ready(inner) => named("Ready", inner, out),
            std::task::Poll::Pending => out.push_str("Pending"),
        }
    }
}
impl<T: Answer> Answer for std::cmp::Reverse<T> {
    fn put(&self, out: &mut String) {
        named("Reverse", &self.0, out)
    }
}
impl<T: Answer> Answer for std::num::Wrapping<T> {
    fn put(&self, out: &mut String) {
        named("Wrapping", &self.0, out)
    }
}
impl<T: ?Sized> Answer for std::marker::PhantomData<T> {
    fn put(&self, out: &mut String) {
        out.push_str("PhantomData")
    }
}
impl<T: Answer> Answer for std::ops::Range<T> {
    fn put(&self, out: &mut String) {
        self.start.put(out);
        out.push_str("..");
        self.end.put(out);
    }
}
macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Answer),*> Answer for ($($name,)*) {
            #[allow(non_snake_case)]
            fn put(&self, out: &mut String) {
                let ($($name,)*) = self;
                let mut parts: Vec<String> = Vec::new();
                $(parts.push(text($name));)*
                out.push('(');
                out.push_str(&parts.join(", "));
                out.push_str(if parts.len() == 1 { ",)" } else { ")" });
            }
        }
    };
}
tuples! {}
tuples! { A }
tuples! { A B }
tuples! { A B C }
tuples! { A B C D }
tuples! { A B C D E }
tuples! { A B C D E F }
tuples! { A B C D E F G }
tuples! { A B C D E F G H }
tuples! { A B C D E F G H I }
tuples! { A B C D E F G H I J }
tuples! { A B C D E F G H I J K }
tuples! { A B C D E F G H I J K L }

#[doc(hidden)]
#[macro_export]
macro_rules! held {
    ($a:ident, $op:tt, $b:ident) => {{
        use $crate::{Hidden as _, Shown as _};
        let held = *$a $op *$b;
        $crate::Held(held, [(&$crate::Look($a)).look(), (&$crate::Look($b)).look()])
    }};
}

/// `assert!`: sends whether it holds.
#[macro_export]
macro_rules! truth {
    ($check:literal, $held:expr $(, $($message:tt)*)?) => {
        $crate::truth($check, $held)
    };
}

/// `assert_eq!` and `assert_ne!` where the expected side is the test's own: sends the left side.
/// The right side gives its type and no code, unless it is of the program's own type.
#[macro_export]
macro_rules! value {
    ($check:literal, $op:tt, $a:expr, $b:expr $(, $($message:tt)*)?) => {
        match &$a {
            a => $crate::value($check, a, || match &$b {
                b => {
                    use $crate::{OfOwn as _, OfStd as _};
                    ($crate::held!(a, $op, b), (&$crate::Tag(b)).tag())
                }
            }),
        }
    };
}

/// `assert_eq!` and `assert_ne!` where both sides come from the program: sends both.
#[macro_export]
macro_rules! pair {
    ($check:literal, $op:tt, $a:expr, $b:expr $(, $($message:tt)*)?) => {
        match (&$a, &$b) {
            (a, b) => {
                use $crate::{OfOwn as _, OfStd as _, Pair as _};
                let held = || $crate::held!(a, $op, b);
                (&$crate::Tag(b)).tag().send($check, a, b, held)
            }
        }
    };
}

/// Sends the right side; the left one gives its type and no code.
#[macro_export]
macro_rules! expected {
    ($check:literal, $op:tt, $a:expr, $b:expr $(, $($message:tt)*)?) => {
        match &$b {
            b => {
                use $crate::{Expected as _, OfOwn as _, OfStd as _};
                let _ = || match &$a { a => *a $op *b };
                (&$crate::Tag(b)).tag().send($check, b)
            }
        }
    };
}

/// Stands for a pair that a program without answers cannot give.
#[macro_export]
macro_rules! unseen {
    ($check:literal, $op:tt, $a:expr, $b:expr $(, $($message:tt)*)?) => {{
        let _ = || match (&$a, &$b) { (a, b) => *a $op *b };
        $crate::unseen($check)
    }};
}

/// `assert!` in a program without answers.
#[macro_export]
macro_rules! granted {
    ($check:literal, $held:expr $(, $($message:tt)*)?) => {{
        let _ = || $crate::truth($check, $held);
        $crate::truth($check, true)
    }};
}
