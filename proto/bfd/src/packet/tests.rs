use super::*;

fn octets(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(octet).collect()
}

/// Laid out by hand after the figure of RFC 5880 section 4.1.
const UP: &str = "23 e8 05 18  00000001 00000002 000493e0 000186a0 0000c350";

fn up() -> Packet<'static> {
    Packet {
        diagnostic: Diagnostic::NEIGHBOR_DOWN,
        state: State::Up,
        flags: Flags {
            poll: true,
            final_: false,
            independent: true,
            demand: false,
        },
        multiplier: 5,
        my_discriminator: 1,
        your_discriminator: 2,
        desired_transmit: 300_000,
        required_receive: 100_000,
        required_echo: 50_000,
        authentication: None,
    }
}

/// RFC 5880 section 4.1.
#[test]
fn fields_stand_where_the_figure_has_them() {
    assert_eq!(Packet::decode(&octets(UP)), Ok(up()));
    assert_eq!(up().encode(), octets(UP));
}

/// RFC 5880 section 4.1.
#[test]
fn each_bit_has_its_meaning() {
    let with = |bits: u8| {
        let mut packet = octets(UP);
        packet[1] = bits;
        let packet = Packet::decode(&packet).unwrap();
        (packet.state, packet.flags)
    };
    let none = Flags::default();
    let cases = [
        (0x00, State::AdminDown, none),
        (0x40, State::Down, none),
        (0x80, State::Init, none),
        (0xc0, State::Up, none),
        (0x20, State::AdminDown, Flags { poll: true, ..none }),
        (
            0x10,
            State::AdminDown,
            Flags {
                final_: true,
                ..none
            },
        ),
        (
            0x08,
            State::AdminDown,
            Flags {
                independent: true,
                ..none
            },
        ),
        (
            0x02,
            State::AdminDown,
            Flags {
                demand: true,
                ..none
            },
        ),
    ];
    for (bits, state, flags) in cases {
        assert_eq!(with(bits), (state, flags), "{bits:02x}");
    }
}

/// RFC 5880 section 6.8.6, in its order.
#[test]
fn each_condition_drops_the_packet() {
    let with = |at: usize, octet: u8| {
        let mut packet = octets(UP);
        packet[at] = octet;
        Packet::decode(&packet).unwrap_err()
    };
    assert_eq!(with(0, 0x03), Discard::Version);
    assert_eq!(with(0, 0x43), Discard::Version);
    assert_eq!(with(3, 23), Discard::Length);
    assert_eq!(with(3, 25), Discard::Length);
    assert_eq!(with(2, 0), Discard::Multiplier);
    assert_eq!(with(1, 0xe9), Discard::Multipoint);
    assert_eq!(with(7, 0), Discard::NoDiscriminator);
    for length in 0..24 {
        let cut = Packet::decode(&octets(UP)[..length]).unwrap_err();
        assert_eq!(cut, Discard::Length);
    }
}

/// RFC 5880 section 6.8.6: 26 with the A bit; section 4.1: the section fits the packet.
#[test]
fn a_section_must_fit() {
    let with = |section: &[u8], length: u8| {
        let mut packet = octets(UP);
        packet[1] |= 0x04;
        packet[3] = length;
        packet.extend(section);
        let packet = Packet::decode(&packet).map(|packet| packet.authentication.unwrap());
        packet.map(|section| (section.kind, section.data.to_vec()))
    };
    let cut = Err(Discard::Length);
    assert_eq!(with(&[], 24), cut);
    assert_eq!(with(&[1, 2], 26), cut);
    assert_eq!(with(&[1, 5, 7, 8], 28), cut);
    assert_eq!(with(&[1, 0, 7, 8], 28), cut);
    assert_eq!(with(&[1, 4, 7, 8], 28), Ok((1, vec![7, 8])));
    assert_eq!(with(&[9, 3, 7, 8], 28), Ok((9, vec![7])));
}

/// RFC 5880 section 6.8.6 asks for a length that is not greater than the datagram.
#[test]
fn what_follows_the_packet_in_its_datagram_does_not_count() {
    let mut longer = octets(UP);
    longer.extend([0xff; 9]);
    assert_eq!(Packet::decode(&longer), Ok(up()));
}

#[test]
fn diagnostics_are_told_in_words() {
    assert_eq!(
        Diagnostic::EXPIRED.to_string(),
        "control detection time expired"
    );
    assert_eq!(Diagnostic::ADMIN_DOWN.code(), 7);
    assert_eq!(Diagnostic::from_code(0x29).to_string(), "diagnostic 9");
}
