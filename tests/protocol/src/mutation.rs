//! One law less: for each, the checker must find what goes wrong. A property
//! that no mutation breaks would prove nothing.

/// A law that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The ledger compares only the version.
    AppendIgnoresPrevHash,
    /// The ledger writes over what others appended meanwhile.
    LastWriterWins,
    /// A once-only order is dealt with like any other: acknowledged when it is
    /// done, and carried out again when it comes again.
    AckAfterApply,
    /// A once-only order that comes again is carried out.
    CarriesOutRedelivered,
    /// A worker writes although its time is over.
    WritesAfterItsTime,
    /// After silence a once-only act is ordered again without a reading.
    NoObserveFirst,
    /// After an order that came again, it is read at once: the first worker
    /// may still be about to write.
    ReadsBeforeItsTime,
    /// A once-only order is published again like any other.
    RepublishesOnce,
    /// A worker's claim settles a task, whatever its reading shows.
    TrustReport,
    /// A task is assigned before what it waits for is settled.
    IgnoresDependency,
    /// An answer to an earlier attempt counts as one to the present.
    LateReportSettles,
    /// A reading that was under way when a late report came counts as made since.
    ReadingOutdoesLateReport,
    /// A report from ahead of the ledger is like any that comes late.
    IgnoresReportFromAhead,
    /// A difference that the closing round reads is not looked at.
    IgnoresDifference,
    /// A closing is recorded whatever happened since its account was made.
    SealWithoutVersion,
    /// A closed case can be closed.
    ClosesAgain,
    /// The closing is recorded before the evidence is put.
    RecordsBeforePut,
    /// An attempt that is not answered is awaited for ever.
    NeverRunsOut,
    /// A closing is compared by version alone, not by hash.
    SealByVersionAlone,
    /// Who stands on lost history notes the loss only if the ledger has not
    /// grown as long since.
    LossByVersionAlone,
    /// After a noted loss a once-only act is read at once, while an order that
    /// was lost may still be carried out.
    ReadsAtOnceAfterLoss,
    /// A once-only act whose last attempt was not answered needs a person, and
    /// his retry orders it without a reading.
    FailureForgetsToObserve,
    /// A dispatcher that waits for the closer does not look whether what it
    /// holds is still the history.
    SealingNeverLooks,
    /// What was to be published is published although the order is another's
    /// by now.
    PublishesWhatOthersOrdered,
    /// A person's retry of what rests or needs him reads at once, while the
    /// order whose end nobody knows may still be carried out.
    RetryDoesNotWait,
}
