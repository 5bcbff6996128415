//! The stack machine that carries out the opcodes of a pickle.
//!
//! Opcodes as in `pickletools.py` of CPython: all that protocols 2 to 5 write, which are those of
//! `torch.save`, but for extension codes and buffers outside of the pickle.

use std::collections::HashMap;

use super::{MAX_OBJECTS, Object, PickleError, Ref};

/// The state between two opcodes.
#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Ref>,
    /// Heights of the stack at which the open marks stand.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    /// Runs a pickle; answers all objects and which of them it stands for.
    pub(super) fn run(bytes: &'a [u8]) -> Result<(Vec<Object>, Ref), PickleError> {
        let mut machine = Self { bytes, ..Self::default() };
        loop {
            if let Some(top) = machine.step()? {
                return Ok((machine.objects, top));
            }
        }
    }

    /// Carries out one opcode; answers the result at the end of the pickle.
    fn step(&mut self) -> Result<Option<Ref>, PickleError> {
        let at = self.at;
        let object = match self.byte()? {
            b'.' => return self.pop().map(Some),
            // Framing: protocol number, frame length.
            0x80 => return self.skip(1),
            0x95 => return self.skip(8),
            // The stack itself.
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(None);
            }
            b'0' => return self.pop().map(|_| None),
            b'1' => return self.pop_to_mark().map(|_| None),
            b'2' => {
                let top = self.top()?;
                return self.push(top);
            }
            // The memo.
            b'q' => return self.byte().and_then(|key| self.memoise(key.into())),
            b'r' => return self.u32().and_then(|key| self.memoise(key)),
            0x94 => return self.memoise(self.memo.len() as u32),
            b'h' => return self.byte().and_then(|key| self.recall(key.into())),
            b'j' => return self.u32().and_then(|key| self.recall(key)),
            // Filling containers. What is put into an object that is none of ours is ignored.
            b'a' => {
                let item = self.pop()?;
                return self.extend_list(vec![item]);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                return self.extend_list(items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.extend_dict(&[key, value]);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                return self.extend_dict(&items);
            }
            0x90 => return self.pop_to_mark().and_then(|_| self.top()).map(|_| None),
            // The state of an object (for a state dict, its version metadata) is not needed.
            b'b' => return self.pop().and_then(|_| self.top()).map(|_| None),
            // Values.
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'K' => Object::Int(self.byte()?.into()),
            b'M' => Object::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Object::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => self.byte().and_then(|n| self.long(n.into()))?,
            0x8b => self.u32().and_then(|n| self.long(n as usize))?,
            b'G' => self.skip(8).map(|_| Object::Opaque)?,
            b'X' => self.u32().and_then(|n| self.text(n as usize))?,
            0x8c => self.byte().and_then(|n| self.text(n.into()))?,
            0x8d => self.length64().and_then(|n| self.text(n))?,
            b'C' | b'U' => self.byte().and_then(|n| self.take(n.into())).map(|_| Object::Opaque)?,
            b'B' | b'T' => self.u32().and_then(|n| self.take(n as usize)).map(|_| Object::Opaque)?,
            0x8e | 0x96 => self.length64().and_then(|n| self.take(n)).map(|_| Object::Opaque)?,
            // Containers.
            b')' => Object::Tuple(vec![]),
            0x85 => Object::Tuple(self.pop_last(1)?),
            0x86 => Object::Tuple(self.pop_last(2)?),
            0x87 => Object::Tuple(self.pop_last(3)?),
            b't' => Object::Tuple(self.pop_to_mark()?),
            b']' => Object::List(vec![]),
            b'l' => Object::List(self.pop_to_mark()?),
            b'}' => Object::Dict(vec![]),
            b'd' => Object::Dict(pairs(&self.pop_to_mark()?).ok_or_else(|| self.damaged("a key without a value"))?),
            0x8f => Object::Opaque,
            0x91 => self.pop_to_mark().map(|_| Object::Opaque)?,
            // Names and calls: written down, never followed.
            b'c' => Object::Global { module: self.line()?, name: self.line()? },
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                Object::Global { module, name }
            }
            b'R' | 0x81 => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args)
            }
            0x92 => {
                let (_keywords, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, args)
            }
            b'Q' => Object::Persistent(self.pop()?),
            code => return Err(PickleError::Opcode { code, at }),
        };
        self.push_new(object)
    }

    /// A call is only written down; an empty `OrderedDict()` is a dictionary that can be filled.
    fn call(&self, callable: Ref, args: Ref) -> Object {
        let ordered = Object::Global { module: "collections".into(), name: "OrderedDict".into() };
        if self.objects[callable] == ordered && self.objects[args] == Object::Tuple(vec![]) {
            return Object::Dict(vec![]);
        }
        Object::Call { callable, args }
    }

    fn extend_list(&mut self, items: Vec<Ref>) -> Result<Option<Ref>, PickleError> {
        let list = self.top()?;
        if let Object::List(list) = &mut self.objects[list] {
            list.extend(items);
        }
        Ok(None)
    }

    fn extend_dict(&mut self, items: &[Ref]) -> Result<Option<Ref>, PickleError> {
        let items = pairs(items).ok_or_else(|| self.damaged("a key without a value"))?;
        let dict = self.top()?;
        if let Object::Dict(dict) = &mut self.objects[dict] {
            dict.extend(items);
        }
        Ok(None)
    }

    fn push_new(&mut self, object: Object) -> Result<Option<Ref>, PickleError> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(PickleError::TooLarge);
        }
        self.objects.push(object);
        self.push(self.objects.len() - 1)
    }

    fn push(&mut self, object: Ref) -> Result<Option<Ref>, PickleError> {
        self.stack.push(object);
        Ok(None)
    }

    /// Height below which the stack cannot be popped: that of the innermost open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Ref, PickleError> {
        self.stack[self.floor()..].last().copied().ok_or_else(|| self.damaged("nothing on the stack"))
    }

    fn pop(&mut self) -> Result<Ref, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The last `count` values, the topmost last.
    fn pop_last(&mut self, count: usize) -> Result<Vec<Ref>, PickleError> {
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= self.floor());
        let start = start.ok_or_else(|| self.damaged("nothing on the stack"))?;
        Ok(self.stack.split_off(start))
    }

    fn pop_text(&mut self) -> Result<String, PickleError> {
        let top = self.pop()?;
        match &self.objects[top] {
            Object::Text(text) => Ok(text.clone()),
            _ => Err(self.damaged("a name that is no text")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Ref>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    fn memoise(&mut self, key: u32) -> Result<Option<Ref>, PickleError> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(None)
    }

    fn recall(&mut self, key: u32) -> Result<Option<Ref>, PickleError> {
        let object = *self.memo.get(&key).ok_or_else(|| self.damaged("an object that was never stored"))?;
        self.push(object)
    }

    fn damaged(&self, what: &'static str) -> PickleError {
        PickleError::Damaged { at: self.at, what }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], PickleError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(PickleError::Truncated)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<Option<Ref>, PickleError> {
        self.take(count).map(|_| None)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Truncated)
    }

    fn u32(&mut self) -> Result<u32, PickleError> {
        self.array().map(u32::from_le_bytes)
    }

    fn length64(&mut self) -> Result<usize, PickleError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| PickleError::Truncated)
    }

    /// A little-endian integer of any length; more than 64 bits are not kept.
    fn long(&mut self, count: usize) -> Result<Object, PickleError> {
        let bytes = self.take(count)?;
        if bytes.len() > 8 {
            return Ok(Object::Opaque);
        }
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut extended = [sign; 8];
        extended[..bytes.len()].copy_from_slice(bytes);
        Ok(Object::Int(i64::from_le_bytes(extended)))
    }

    fn text(&mut self, count: usize) -> Result<Object, PickleError> {
        let bytes = self.take(count)?.to_vec();
        // Python may write lone surrogates; a text with one is nothing we look for.
        Ok(String::from_utf8(bytes).map_or(Object::Opaque, Object::Text))
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or(PickleError::Truncated)?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }
}

fn pairs(items: &[Ref]) -> Option<Vec<(Ref, Ref)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[key, value]| (key, value)).collect())
}
