//! CodeSystem usecases-categories-bars 1.5.0: who sends to whom, by BaRS Application.

/// A use case.
#[derive(Debug, PartialEq, Eq)]
pub struct UseCase {
    /// Lower case, as in the CodeSystem; prose writes upper case.
    pub code: &'static str,
    /// What the CodeSystem calls it.
    pub display: &'static str,
    /// BaRS Application.
    pub application: u8,
    /// No longer to be used, but still seen.
    pub withdrawn: bool,
}

const fn live(code: &'static str, application: u8, display: &'static str) -> UseCase {
    UseCase { code, display, application, withdrawn: false }
}

const fn withdrawn(code: &'static str, application: u8, display: &'static str) -> UseCase {
    UseCase { code, display, application, withdrawn: true }
}

/// All of them.
pub static ALL: &[UseCase] = &[
    live("a1t1", 1, "111 to ED"),
    live("a1t2", 1, "111 to UTC"),
    live("a1t3", 1, "IUC CAS to ED"),
    live("a1t4", 1, "IUC CAS to UTC"),
    live("a1t5", 1, "999 to ED"),
    live("a1t6", 1, "999 to UTC"),
    live("a1t7", 1, "111 to SDEC"),
    live("a1t8", 1, "IUC CAS to SDEC"),
    live("a1t9", 1, "999 to SDEC"),
    live("a1t10", 1, "111 to UEC"),
    live("a1t11", 1, "IUC CAS to UEC"),
    live("a1t12", 1, "999 to UEC"),
    live("a2t1", 2, "111 Online to ED"),
    live("a2t2", 2, "111 Online to UTC"),
    live("a2t3", 2, "S and R to ED"),
    live("a2t4", 2, "S and R to UTC"),
    live("a2t5", 2, "111 Online to UEC"),
    live("a2t6", 2, "S and R to UEC"),
    live("a3t1", 3, "999 to CAS Referral"),
    live("a4t1", 4, "999 to CAS Validation"),
    live("a4t2", 4, "999 to Falls"),
    live("a4t3", 4, "999 to Community Services"),
    live("a4t4", 4, "999 to UEC Validation"),
    live("a5t1", 5, "Primary Care to Community Pharmacy"),
    withdrawn("a5t2", 5, "Primary Care to Pharmacy Contraception"),
    withdrawn("a5t3", 5, "Primary Care to Pharmacy Blood Pressure Check Service"),
    withdrawn("referraltopharmacy", 5, "Primary Care to Pharmacy to Deprecated"),
    live("a6t1", 6, "CAD to CAD Out of Area Referral"),
    live("a6t2", 6, "CAD to CAD Call Assist Request"),
    live("a6t3", 6, "CAD to CAD Mutual Aid Request"),
    live("a7t1", 7, "Patient Facing Services to Primary Care"),
    live("a8t1", 8, "AG to e-RS"),
    live("a8t2", 8, "111 Online to e-RS"),
    live("a8t3", 8, "nhs.uk to e-RS"),
];

/// The use case with this code, in any case of letters.
pub fn find(code: &str) -> Option<&'static UseCase> {
    ALL.iter().find(|use_case| use_case.code.eq_ignore_ascii_case(code.trim()))
}
