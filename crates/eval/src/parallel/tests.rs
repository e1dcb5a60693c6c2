use super::*;

#[test]
fn blocks_are_taken_in_order_whoever_made_them() {
    for helpers in 0..4 {
        let mut taken = Vec::new();
        let made = with_helpers(
            100,
            helpers,
            |i| Ok::<_, Error>(i * i),
            |v| {
                taken.push(v);
                Ok(())
            },
        );
        made.unwrap();
        assert_eq!(taken, (0..100).map(|i| i * i).collect::<Vec<_>>(), "{helpers} helpers");
    }
}

#[test]
fn the_first_error_in_order_is_the_one_returned() {
    for helpers in 0..4 {
        let mut taken = 0;
        let make = |i| if i >= 7 { Err(Error::invalid(format!("block {i}"))) } else { Ok(i) };
        let failed = with_helpers(50, helpers, make, |_| {
            taken += 1;
            Ok(())
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), taken), ("block 7", 7));
        let refused =
            with_helpers(
                50,
                helpers,
                Ok::<usize, Error>,
                |i| if i == 3 { Err(Error::Timeout) } else { Ok(()) },
            );
        assert!(matches!(refused, Err(Error::Timeout)));
    }
}

#[test]
fn helpers_never_run_further_ahead_than_agreed() {
    let (made, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let furthest = AtomicUsize::new(0);
    let make = |i| {
        let ahead = made.fetch_add(1, Relaxed) + 1;
        furthest.fetch_max(ahead.saturating_sub(taken.load(Relaxed)), Relaxed);
        Ok::<_, Error>(i)
    };
    with_helpers(500, 3, make, |_: usize| -> Result<(), Error> {
        taken.fetch_add(1, Relaxed);
        Ok(())
    })
    .unwrap();
    // Beside what waits, a block may have been taken from the board but not be counted here yet.
    assert!(furthest.load(Relaxed) <= 4 * AHEAD + 1, "{furthest:?}");
}

#[test]
fn no_more_helpers_are_lent_than_there_are_cores() {
    let all: Vec<Helpers> = (0..64).map(|_| Helpers::borrow(64)).collect();
    assert!(all.iter().map(|h| h.0).sum::<usize>() < cores().max(1));
}
