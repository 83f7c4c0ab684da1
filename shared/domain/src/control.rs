//! The compliance controls that a task's evidence supports, by framework.
//! The map is the project's reading of the published control texts; NIST
//! PS-4 and AC-2 name termination directly.

/// References to controls, by framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controls {
    /// SOC 2 trust services criteria (2017, points of focus of 2022).
    pub soc2: &'static [&'static str],
    /// ISO/IEC 27001:2022 Annex A.
    pub iso27001: &'static [&'static str],
    /// HIPAA Security Rule, 45 CFR.
    pub hipaa: &'static [&'static str],
    /// NIST SP 800-53 revision 5.
    pub nist80053: &'static [&'static str],
}

/// Initiation, resolution, approval.
pub const INITIATION: Controls = Controls {
    soc2: &["CC6.2", "CC6.3", "CC8.1"],
    iso27001: &["5.3", "5.15", "5.18", "6.5"],
    hipaa: &["164.308(a)(3)(ii)(C)", "164.308(a)(4)(ii)(C)"],
    nist80053: &["PS-4", "AC-2"],
};
/// Cutting access and authenticators.
pub const ACCESS: Controls = Controls {
    soc2: &["CC6.1", "CC6.2", "CC6.3", "CC6.6"],
    iso27001: &["5.16", "5.17", "5.18", "8.2", "8.5"],
    hipaa: &["164.308(a)(3)(ii)(C)", "164.312(a)(1)", "164.312(d)"],
    nist80053: &["PS-4", "AC-2", "AC-2(3)", "AC-2(13)", "IA-4", "IA-5"],
};
/// Grants to applications.
pub const GRANTS: Controls = Controls {
    soc2: &["CC6.2", "CC6.3", "CC9.2"],
    iso27001: &["5.18", "5.19", "5.23"],
    hipaa: &["164.308(a)(4)(ii)(C)", "164.308(b)"],
    nist80053: &["AC-2", "AC-20", "PS-7"],
};
/// Group memberships and ownerships.
pub const GROUPS: Controls = Controls {
    soc2: &["CC6.3"],
    iso27001: &["5.9", "5.18"],
    hipaa: &["164.308(a)(4)(ii)(C)"],
    nist80053: &["AC-2", "AC-6"],
};
/// Devices found and returned.
pub const RETURN: Controls = Controls {
    soc2: &["CC6.4", "CC6.5"],
    iso27001: &["5.9", "5.11", "7.9"],
    hipaa: &["164.310(d)(1)", "164.310(d)(2)(iii)"],
    nist80053: &["PS-4", "CM-8", "PE-2"],
};
/// Devices sanitised.
pub const SANITISATION: Controls = Controls {
    soc2: &["CC6.5", "CC6.7"],
    iso27001: &["7.10", "7.14", "8.1", "8.10"],
    hipaa: &["164.310(d)(2)(i)", "164.310(d)(2)(ii)"],
    nist80053: &["MP-6", "AC-7(2)", "AC-19"],
};
/// Mail and files kept.
pub const RETENTION: Controls = Controls {
    soc2: &["C1.1", "CC6.5"],
    iso27001: &["5.28", "5.33", "5.34", "8.10", "8.13"],
    hipaa: &["164.308(a)(7)", "164.316(b)(2)(i)"],
    nist80053: &["PS-4", "AU-11", "SI-12"],
};
/// Licences freed.
pub const LICENCES: Controls = Controls {
    soc2: &["CC6.2"],
    iso27001: &["5.32", "8.19"],
    hipaa: &[],
    nist80053: &["CM-10"],
};
/// Reading everything again.
pub const RECONCILIATION: Controls = Controls {
    soc2: &["CC4.1", "CC7.1", "CC7.2"],
    iso27001: &["5.18", "5.36", "8.15", "8.16"],
    hipaa: &["164.308(a)(1)(ii)(D)", "164.312(b)"],
    nist80053: &["AC-2(3)", "AC-2(4)", "AC-2(12)", "CA-7", "AU-6"],
};
/// Validation and evidence.
pub const CLOSURE: Controls = Controls {
    soc2: &["CC2.2", "CC4.2", "CC5.3"],
    iso27001: &["5.28", "5.35", "8.15"],
    hipaa: &["164.312(b)", "164.312(c)", "164.316(b)"],
    nist80053: &["AU-3", "AU-9", "AU-10", "AU-12"],
};
