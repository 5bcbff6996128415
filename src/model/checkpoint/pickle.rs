//! An inert reader of Python pickles.
//!
//! A pickle is a program for a small stack machine. Python's own machine imports any function that the
//! program names and calls it, so opening a hostile checkpoint runs hostile code. This machine builds a
//! *description* instead: naming a class or function gives [`Object::Global`], calling it gives
//! [`Object::Call`], and there is nothing here that could carry either out. The reader of the description
//! picks out the few calls it understands and ignores what the hyper-parameters and callbacks of a training
//! run leave behind.
//!
//! Objects live in one list and refer to each other by index. So shared and cyclic objects cost nothing,
//! dropping them does not recurse, and time and memory are linear in the bytes read, up to the limit below.

mod machine;

use machine::Machine;

/// A description has at most this many objects: some hundred times those of a large model.
const MAX_OBJECTS: usize = 4_000_000;

/// Index of an object in a [`Pickle`].
pub(super) type Ref = usize;

/// One value that a pickle describes.
#[derive(Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    /// Keys and values in the order of insertion; a key may occur again, and the last one counts.
    Dict(Vec<(Ref, Ref)>),
    /// A class or function, by name only.
    Global {
        module: String,
        name: String,
    },
    /// What would be the result of a call; nothing was called.
    Call {
        callable: Ref,
        args: Ref,
    },
    /// A reference to something outside the pickle: in a checkpoint, to a tensor's values.
    Persistent(Ref),
    /// A value nobody here needs: a float, bytes, a set, a large integer.
    Opaque,
}

/// Why a pickle could not be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum PickleError {
    #[error("the pickle ends in the middle")]
    Truncated,
    #[error("the pickle is damaged at byte {at}: {what}")]
    Damaged { at: usize, what: &'static str },
    #[error("the pickle uses opcode {code:#04x} at byte {at}, which is not supported")]
    Opcode { code: u8, at: usize },
    #[error("the pickle has more than {MAX_OBJECTS} objects")]
    TooLarge,
}

/// The description that a pickle builds.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    top: Ref,
}

impl Pickle {
    /// Interprets the bytes of a pickle.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        let (objects, top) = Machine::run(bytes)?;
        Ok(Self { objects, top })
    }

    /// The value that the whole pickle stands for.
    pub(super) fn top(&self) -> Ref {
        self.top
    }

    pub(super) fn get(&self, at: Ref) -> &Object {
        &self.objects[at]
    }

    pub(super) fn text(&self, at: Ref) -> Option<&str> {
        if let Object::Text(text) = self.get(at) { Some(text) } else { None }
    }

    pub(super) fn tuple(&self, at: Ref) -> Option<&[Ref]> {
        if let Object::Tuple(items) = self.get(at) { Some(items) } else { None }
    }

    pub(super) fn dict(&self, at: Ref) -> Option<&[(Ref, Ref)]> {
        if let Object::Dict(items) = self.get(at) { Some(items) } else { None }
    }

    /// A number of things: an integer that is not negative.
    pub(super) fn size(&self, at: Ref) -> Option<usize> {
        if let Object::Int(n) = self.get(at) { usize::try_from(*n).ok() } else { None }
    }

    /// Module and name of a class or function.
    pub(super) fn global(&self, at: Ref) -> Option<(&str, &str)> {
        if let Object::Global { module, name } = self.get(at) { Some((module, name)) } else { None }
    }

    /// What is called, and with which arguments, if the value would be the result of a call.
    pub(super) fn call(&self, at: Ref) -> Option<((&str, &str), &[Ref])> {
        let Object::Call { callable, args } = self.get(at) else { return None };
        Some((self.global(*callable)?, self.tuple(*args)?))
    }

    /// The last value under a text key of a dictionary.
    pub(super) fn lookup(&self, dict: Ref, key: &str) -> Option<Ref> {
        self.dict(dict)?.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
        Pickle::read(bytes)
    }

    #[test]
    fn a_call_is_described_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("executed");
        let command = format!("touch {}", trace.display());
        // (posix.system)(command), as Python would write it for protocol 2.
        let mut bytes = b"\x80\x02cposix\nsystem\nX".to_vec();
        bytes.extend((command.len() as u32).to_le_bytes());
        bytes.extend(command.as_bytes());
        bytes.extend(b"\x85R.");
        let pickle = read(&bytes).unwrap();
        let (callable, args) = pickle.call(pickle.top()).unwrap();
        assert_eq!(callable, ("posix", "system"));
        assert_eq!(pickle.text(args[0]), Some(command.as_str()));
        assert!(!trace.exists());
    }

    #[test]
    fn containers_are_shared_not_copied() {
        // d = {}; d["self"] = d; (d, d)
        let pickle = read(b"\x80\x02}q\x00X\x04\x00\x00\x00selfh\x00sh\x00\x86.").unwrap();
        let pair = pickle.tuple(pickle.top()).unwrap();
        assert_eq!(pair[0], pair[1]);
        assert_eq!(pickle.lookup(pair[0], "self"), Some(pair[0]));
    }

    #[test]
    fn a_pickle_that_doubles_itself_stays_small() {
        // x = (x, x), a hundred thousand times: 2^100000 leaves if it were written out.
        let mut bytes = b"\x80\x02K\x01".to_vec();
        bytes.extend(b"2\x86".repeat(100_000));
        bytes.push(b'.');
        let pickle = read(&bytes).unwrap();
        assert_eq!(pickle.objects.len(), 100_001);
    }

    #[test]
    fn integers_have_their_sign() {
        let int = |bytes: &[u8]| {
            let pickle = read(bytes).unwrap();
            if let Object::Int(n) = *pickle.get(pickle.top()) { n } else { panic!("no integer") }
        };
        assert_eq!(int(b"\x8a\x01\xff."), -1);
        assert_eq!(int(b"\x8a\x00."), 0);
        assert_eq!(int(b"\x8a\x05\x00\x00\x00\x00\x01."), 1 << 32);
        assert_eq!(int(b"J\xfe\xff\xff\xff."), -2);
        assert_eq!(int(b"M\xff\xff."), 65535);
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        assert_eq!(read(b"").unwrap_err(), PickleError::Truncated);
        assert_eq!(read(b"X\xff\xff\xff\xffabc").unwrap_err(), PickleError::Truncated);
        assert_eq!(read(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa").unwrap_err(), PickleError::Truncated);
        assert_eq!(read(b"I1\n.").unwrap_err(), PickleError::Opcode { code: b'I', at: 0 });
        for bytes in [&b"."[..], b"0", b"t", b"K\x01R", b"h\x07", b"}K\x01s", b"(K\x01(0", b"}(K\x01u", b"K\x01(\x86"] {
            let error = read(bytes).unwrap_err();
            assert!(matches!(error, PickleError::Damaged { .. }), "{bytes:?}: {error}");
        }
        let endless = b"N".repeat(MAX_OBJECTS + 1);
        assert_eq!(read(&endless).unwrap_err(), PickleError::TooLarge);
    }
}
