//! UPDATE (RFC 4271 section 4.3): routes that come and go, and what is made of a malformed one
//! (RFC 7606).
//!
//! ```text
//! length u16 · withdrawn prefixes · length u16 · attributes · announced prefixes
//! ```

use super::attribute::{self, Attribute, Context, MP_REACH, MP_UNREACH, OPTIONAL, Raw};
use super::bytes::{Reader, Short};
use super::fault::{Approach, Consequence, Fault, Flaw};
use super::header::{self, HEADER, Kind, TooLong};
use super::nlri;
use super::reach::{Reach, Unreach};
use crate::{Family, Notification, Prefix};

/// How many mistakes of one UPDATE are told apart.
const FAULTS: usize = 8;

/// Octets of an UPDATE that says nothing.
pub(crate) const EMPTY: usize = HEADER + 4;

/// Routes that come and go. As it was read: with a strong enough fault, what is announced counts as
/// withdrawn, see [`Self::approach`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// IPv4 prefixes that are gone.
    pub withdrawn: Vec<Prefix>,
    /// Prefixes that are gone, of a family.
    pub unreach: Option<Unreach>,
    /// Prefixes that are there, of a family.
    pub reach: Option<Reach>,
    /// All other attributes, ascending when written, in the order of the message when read.
    pub attributes: Vec<Attribute>,
    /// IPv4 prefixes that are there, with the attribute NEXT_HOP.
    pub announced: Vec<Prefix>,
    /// What was wrong with it, the first few.
    pub faults: Vec<Fault>,
    /// The strongest of what follows.
    pub approach: Option<Approach>,
    /// It had attributes of families that are not exchanged; they were passed over.
    pub foreign: bool,
}

impl Update {
    /// The marker of the end of a family's routes (RFC 4724 section 2).
    #[must_use]
    pub fn end_of_rib(family: Family) -> Self {
        let unreach = Unreach {
            family,
            prefixes: Vec::new(),
        };
        Self {
            unreach: (family != Family::Ipv4).then_some(unreach),
            ..Self::default()
        }
    }

    /// It is the marker of the end of this family's routes.
    #[must_use]
    pub fn ends(&self) -> Option<Family> {
        let silent = self.withdrawn.is_empty()
            && self.announced.is_empty()
            && self.reach.is_none()
            && self.attributes.is_empty()
            && self.faults.is_empty()
            && !self.foreign;
        match &self.unreach {
            _ if !silent => None,
            None => Some(Family::Ipv4),
            Some(unreach) => unreach.prefixes.is_empty().then_some(unreach.family),
        }
    }

    /// Appends the message, MP attributes first (RFC 7606 section 5.1).
    ///
    /// # Errors
    /// It would be longer than `longest`; nothing is appended.
    pub fn encode(
        &self,
        context: &Context,
        longest: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        header::write(out, Kind::Update, longest, |out| {
            counted(out, |out| {
                for prefix in &self.withdrawn {
                    nlri::encode(*prefix, out);
                }
            });
            counted(out, |out| {
                if let Some(reach) = &self.reach {
                    reach.encode(out);
                }
                if let Some(unreach) = &self.unreach {
                    unreach.encode(out);
                }
                for attribute in &self.attributes {
                    attribute.encode(context, out);
                }
            });
            for prefix in &self.announced {
                nlri::encode(*prefix, out);
            }
        })
    }

    /// Reads the body of a message.
    ///
    /// # Errors
    /// The NOTIFICATION to end the session with, where RFC 7606 leaves no other way.
    pub fn decode(body: &[u8], context: &Context) -> Result<Self, Notification> {
        let split = || {
            let mut reader = Reader(body);
            let length = reader.u16()?;
            let withdrawn = reader.take(length.into())?;
            let length = reader.u16()?;
            let attributes = reader.take(length.into())?;
            Ok((withdrawn, attributes, reader.0))
        };
        let (withdrawn, attributes, announced) =
            split().map_err(|Short| Notification::attribute_list())?;
        let prefixes = |octets| {
            nlri::decode(octets, Family::Ipv4).map_err(|Short| Notification::invalid_network())
        };
        let mut update = Self {
            withdrawn: prefixes(withdrawn)?,
            announced: prefixes(announced)?,
            ..Self::default()
        };
        let mut seen = Seen::default();
        let mut reader = Reader(attributes);
        while !reader.is_empty() {
            let start = reader;
            let Ok(raw) = Raw::read(&mut reader) else {
                // RFC 7606 section 4: the rest of the attributes cannot be told apart.
                let kind = start.0.get(1).copied().unwrap_or_default();
                update.note(fault(kind, Flaw::Cut, Approach::TreatAsWithdraw));
                break;
            };
            match update.take(&raw, &mut seen, context) {
                Ok(()) => {}
                Err(Consequence::Mend(fault)) => update.note(fault),
                Err(Consequence::SessionReset(notification)) => return Err(notification),
            }
        }
        update.expect_mandatory(&seen, context);
        let unsure = update.announced.is_empty() && !seen.has(MP_REACH) && !seen.only(MP_UNREACH);
        if unsure && update.approach == Some(Approach::TreatAsWithdraw) {
            // RFC 7606 section 5.2: what is to be withdrawn may not have been found.
            return Err(Notification::attribute_list());
        }
        Ok(update)
    }

    /// Takes one attribute in.
    fn take(
        &mut self,
        raw: &Raw<'_>,
        seen: &mut Seen,
        context: &Context,
    ) -> Result<(), Consequence> {
        let multiprotocol = matches!(raw.kind, MP_REACH | MP_UNREACH);
        if seen.insert(raw.kind) {
            // RFC 7606 section 3 (g).
            return Err(if multiprotocol {
                Notification::attribute_list().into()
            } else {
                raw.fault(Flaw::Repeated, Approach::AttributeDiscard).into()
            });
        }
        if !raw.has_its_flags() {
            // RFC 7606 section 3 (c); the prefixes are still needed.
            self.note(raw.fault(Flaw::Flags, Approach::TreatAsWithdraw));
            if !multiprotocol {
                return Ok(());
            }
        }
        match raw.kind {
            MP_REACH => {
                self.reach = Reach::decode(raw, context)?;
                self.foreign |= self.reach.is_none();
            }
            MP_UNREACH => {
                self.unreach = Unreach::decode(raw, context)?;
                self.foreign |= self.unreach.is_none();
            }
            kind if attribute::flags(kind).is_none() && raw.flags & OPTIONAL == 0 => {
                return Err(Notification::unrecognized_attribute(raw.whole.to_vec()).into());
            }
            _ => self.attributes.push(Attribute::decode(raw, context)?),
        }
        Ok(())
    }

    /// RFC 7606 section 3 (d).
    fn expect_mandatory(&mut self, seen: &Seen, context: &Context) {
        let classic = !self.announced.is_empty();
        if !classic && self.reach.is_none() {
            return;
        }
        for (kind, wanted) in [
            (attribute::ORIGIN, true),
            (attribute::AS_PATH, true),
            (attribute::NEXT_HOP, classic),
            (attribute::LOCAL_PREF, context.internal),
        ] {
            if wanted && !seen.has(kind) {
                self.note(fault(kind, Flaw::Missing, Approach::TreatAsWithdraw));
            }
        }
    }

    fn note(&mut self, fault: Fault) {
        self.approach = self.approach.max(Some(fault.approach));
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        }
    }
}

const fn fault(attribute: u8, flaw: Flaw, approach: Approach) -> Fault {
    Fault {
        attribute,
        flaw,
        approach,
    }
}

/// The types of attribute that were there.
#[derive(Debug, Default)]
struct Seen([u128; 2]);

impl Seen {
    const fn place(kind: u8) -> (usize, u128) {
        ((kind >> 7) as usize, 1 << (kind & 127))
    }

    /// Whether it was there before.
    fn insert(&mut self, kind: u8) -> bool {
        let (half, bit) = Self::place(kind);
        let before = self.has(kind);
        self.0[half] |= bit;
        before
    }

    fn has(&self, kind: u8) -> bool {
        let (half, bit) = Self::place(kind);
        self.0[half] & bit != 0
    }

    /// It, and nothing else.
    fn only(&self, kind: u8) -> bool {
        let count: u32 = self.0.iter().map(|half| half.count_ones()).sum();
        self.has(kind) && count == 1
    }
}

/// Appends a length of two octets and what `write` appends. More than fits one does not fit a message
/// either, which is found out there.
fn counted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out);
    let length = u16::try_from(out.len() - start - 2).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start..start + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
