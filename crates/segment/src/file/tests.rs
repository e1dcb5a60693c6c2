use bytes::Bytes;

use super::{
    blob::{BlobRef, MAX_TEXT, pack_text, unpack_text},
    seal::{self, Trailer},
};

fn sealed(body: &[u8], cuts: Vec<u64>) -> (Vec<u8>, seal::Regions) {
    let footer = b"footer";
    let made = seal::encode(body, cuts, footer, 1).unwrap();
    let trailer = Trailer::decode(&made, footer).unwrap();
    assert_eq!(trailer.version, 1);
    let regions = trailer.regions(&made, body.len() as u64).unwrap();
    (made, regions)
}

#[test]
fn a_read_covers_whole_pieces_and_no_more() {
    let (_, r) = sealed(&[7; 100], vec![0, 10, 40, 40, 90]);
    assert_eq!(r.cover(&(0..10)), Some(0..10));
    assert_eq!(r.cover(&(10..40)), Some(10..40));
    assert_eq!(r.cover(&(39..41)), Some(10..90));
    assert_eq!(r.cover(&(95..100)), Some(90..100));
    assert_eq!(r.cover(&(95..101)), None);
    assert_eq!(r.cover(&(5..5)), None);
}

#[test]
fn a_changed_byte_is_found_in_its_piece() {
    let mut body: Vec<u8> = (0..100).collect();
    let (_, r) = sealed(&body, vec![10, 40, 90]);
    assert_eq!(r.verify(10, &Bytes::copy_from_slice(&body[10..90])), Ok(()));
    body[50] ^= 1;
    assert_eq!(r.verify(10, &Bytes::copy_from_slice(&body[10..90])), Err(40..90));
    assert_eq!(r.verify(10, &Bytes::copy_from_slice(&body[10..30])), Err(10..30), "a piece that is cut off");
}

#[test]
fn a_seal_of_another_footer_or_length_is_refused() {
    let (made, _) = sealed(&[1; 10], vec![]);
    assert!(Trailer::decode(&made, b"another").unwrap_err().contains("footer"));
    assert!(Trailer::decode(&made[..made.len() - 1], b"footer").is_err());
    assert!(Trailer::decode(b"short", b"footer").is_err());
    let trailer = Trailer::decode(&made, b"footer").unwrap();
    assert!(trailer.regions(&made, 11).unwrap_err().contains("end at 11"));
    assert!(trailer.regions(&made[..3], 10).is_err());
}

#[test]
fn a_blob_outside_the_file_is_no_blob() {
    let place = BlobRef { offset: 4, length: 6, crc: 0xab };
    assert_eq!(place.format(), "4,6,000000ab");
    assert_eq!(BlobRef::parse(&place.format(), 10), Some(place));
    assert_eq!(BlobRef::parse(&place.format(), 9), None);
    for bad in ["", "1,2", "1,2,3,4", "18446744073709551615,1,0", "a,b,c"] {
        assert_eq!(BlobRef::parse(bad, u64::MAX), None, "{bad}");
    }
}

#[test]
fn packed_text_expands_to_what_it_promises_or_not_at_all() {
    let text = "some text ".repeat(100);
    let packed = pack_text("lines", &text).unwrap();
    assert_eq!(unpack_text(&packed), Some(text));
    let mut lying = packed.clone();
    lying[0] ^= 1;
    assert_eq!(unpack_text(&lying), None);
    lying[..4].copy_from_slice(&(MAX_TEXT as u32 + 1).to_le_bytes());
    assert_eq!(unpack_text(&lying), None);
    assert_eq!(unpack_text(&[]), None);
}
