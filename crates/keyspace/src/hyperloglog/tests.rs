use onecopy_core::Budget;

use super::*;

fn registers(bytes: &[u8]) -> Vec<u8> {
    let mut registers = Vec::new();
    each_run(bytes, |value, count| registers.extend(std::iter::repeat_n(value, count)));
    registers
}

fn cardinality(bytes: &[u8]) -> i64 {
    let mut histogram = [0; VALUES];
    each_run(bytes, |value, count| histogram[usize::from(value)] += count as u32);
    estimate::estimate(&histogram)
}

#[test]
fn both_forms_say_the_same() {
    let (mut sparse, mut dense) = (empty(), empty());
    make_dense(&mut dense);
    let mut expected = vec![0; REGISTERS];
    for number in 0..2_000 {
        let (register, value) = element::register_of(format!("element {number}").as_bytes(), Budget::ENDLESS);
        let is_raised = expected[register] < value;
        expected[register] = value.max(expected[register]);
        assert_eq!(raise(&mut sparse, register, value), is_raised);
        assert_eq!(raise(&mut dense, register, value), is_raised);
        if number % 100 == 0 {
            assert_eq!(registers(&sparse), expected, "after {number}");
            assert_eq!(check(&sparse), Ok(()));
        }
        assert!(encoding(&sparse) == Ok(Encoding::Dense) || sparse.len() <= SPARSE_BYTES_MAX);
    }
    assert_eq!(registers(&dense), expected);
    assert_eq!(encoding(&sparse), Ok(Encoding::Dense), "it has outgrown the sparse form");
    assert!(sparse == dense);
}

#[test]
fn estimates_are_close() {
    let mut bytes = empty();
    let mut counted = 0;
    for target in [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        for number in counted..target {
            let (register, value) = element::register_of(format!("{number}").as_bytes(), Budget::ENDLESS);
            raise(&mut bytes, register, value);
        }
        counted = target;
        let (estimate, allowed) = (cardinality(&bytes), target / 40);
        assert!((target - allowed..=target + allowed).contains(&estimate), "{estimate} of {target}");
    }
}

#[test]
fn any_histogram_has_an_estimate() {
    for value in 0..VALUES {
        for count in [1, 2, REGISTERS as u32 / 2, REGISTERS as u32 - 1, REGISTERS as u32] {
            let mut histogram = [0; VALUES];
            histogram[value] = count;
            assert!(estimate::estimate(&histogram) >= 0);
            histogram[0] += REGISTERS as u32 - count;
            assert!(estimate::estimate(&histogram) >= 0);
        }
    }
}

#[test]
fn what_is_corrupt_is_found_out() {
    let with = |registers: &[u8]| [&empty()[..HEADER], registers].concat();
    for (registers, is_complete) in [
        (vec![0x7f, 0xff], true),
        (vec![0x3f; 256], true),
        (vec![0xff; 4096], true),
        (vec![0; REGISTERS], true),
        (vec![], false),
        (vec![0x7f], false),
        (vec![0x7f, 0xfe], false),
        (vec![0x7f, 0xff, 0], false),
        (vec![0x3f; 257], false),
        (vec![0x7f, 0xfe, 0x01], false),
        (vec![0; 1 << 20], false),
        (vec![0xff; 1 << 20], false),
    ] {
        assert_eq!(
            check(&with(&registers)).is_ok(),
            is_complete,
            "{:?}…",
            &registers[..registers.len().min(3)]
        );
    }
    assert_eq!(encoding(b"HYLL"), Err(NO_HYPERLOGLOG));
    assert_eq!(encoding(b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0"), Err(NO_HYPERLOGLOG));
    assert_eq!(encoding(b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0"), Err(NO_HYPERLOGLOG), "too short for dense ones");
    assert_eq!(encoding(b"hyll\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"), Err(NO_HYPERLOGLOG));
}

#[test]
fn long_sparse_forms_of_users_are_raised_as_well() {
    // As many bytes as there are registers, and twice as many: longer than any that comes from here.
    for registers_of in [vec![0; REGISTERS], [0x40, 0].repeat(REGISTERS)] {
        let mut bytes = [&empty()[..HEADER], &registers_of].concat();
        assert_eq!(check(&bytes), Ok(()));
        let mut expected = vec![0; REGISTERS];
        for (register, value) in [(0, 1), (REGISTERS - 1, 32), (5, 2), (6, 2), (7, 2), (4, 2), (8, 2), (5, 3)]
        {
            assert!(raise(&mut bytes, register, value));
            expected[register] = value;
            assert_eq!(registers(&bytes), expected);
        }
        assert!(raise(&mut bytes, 9, 33), "a value that only the dense form has");
        assert_eq!((encoding(&bytes), dense_value(&bytes, 9)), (Ok(Encoding::Dense), 33));
    }
}
