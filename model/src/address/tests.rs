use super::*;

#[test]
fn a_slash_zero_of_either_family_parses_and_counts() {
    let all: AddressRange = "::/0".parse().unwrap();
    assert_eq!(all.count().get(), u128::MAX);
    let all: AddressRange = "0.0.0.0/0".parse().unwrap();
    assert_eq!(all.count().get(), 1 << 32);
}
