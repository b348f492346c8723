//! Units of measure by the case-sensitive codes of UCUM 2.1: atoms with prefixes, exponents, products and annotations.
//!
//! The atoms of everyday medicine are known. A unit that is well-formed but has an atom that is not known is nobody's
//! error: that answer is left open.

/// Atoms that take a metric prefix.
const METRIC: &[&str] = &[
    "m",
    "s",
    "g",
    "rad",
    "K",
    "C",
    "cd",
    "mol",
    "sr",
    "Hz",
    "N",
    "Pa",
    "J",
    "W",
    "A",
    "V",
    "F",
    "Ohm",
    "S",
    "Wb",
    "Cel",
    "T",
    "H",
    "lm",
    "lx",
    "Bq",
    "Gy",
    "Sv",
    "l",
    "L",
    "ar",
    "t",
    "bar",
    "u",
    "eV",
    "pc",
    "[c]",
    "[h]",
    "[k]",
    "[eps_0]",
    "[mu_0]",
    "[e]",
    "[m_e]",
    "[m_p]",
    "[G]",
    "[g]",
    "[ly]",
    "gf",
    "Ky",
    "Gal",
    "dyn",
    "erg",
    "P",
    "Bi",
    "St",
    "Mx",
    "G",
    "Oe",
    "Gb",
    "sb",
    "Lmb",
    "ph",
    "Ci",
    "R",
    "RAD",
    "REM",
    "cal_[15]",
    "cal_[20]",
    "cal_m",
    "cal_IT",
    "cal_th",
    "cal",
    "tex",
    "m[H2O]",
    "m[Hg]",
    "eq",
    "osm",
    "g%",
    "kat",
    "U",
    "[iU]",
    "[IU]",
    "Np",
    "B",
    "B[SPL]",
    "B[V]",
    "B[mV]",
    "B[uV]",
    "B[10.nV]",
    "B[W]",
    "B[kW]",
    "st",
    "bit",
    "By",
    "Bd",
    "mho",
    "att",
    "[wood'U]",
    "[CFU]",
    "[FFU]",
    "[PFU]",
    "[hnsf'U]",
    "[degRe]",
    "Torr",
    "[m/s2/Hz^(1/2)]",
];

/// Atoms that do not.
const PLAIN: &[&str] = &[
    "10*",
    "10^",
    "[pi]",
    "%",
    "[ppth]",
    "[ppm]",
    "[ppb]",
    "[pptr]",
    "gon",
    "deg",
    "'",
    "''",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "mo_s",
    "mo_j",
    "mo_g",
    "a",
    "a_t",
    "a_j",
    "a_g",
    "atm",
    "[in_i]",
    "[ft_i]",
    "[yd_i]",
    "[mi_i]",
    "[fth_i]",
    "[nmi_i]",
    "[kn_i]",
    "[sin_i]",
    "[sft_i]",
    "[syd_i]",
    "[cin_i]",
    "[cft_i]",
    "[cyd_i]",
    "[bf_i]",
    "[cr_i]",
    "[mil_i]",
    "[cml_i]",
    "[hd_i]",
    "[ft_us]",
    "[yd_us]",
    "[in_us]",
    "[rd_us]",
    "[ch_us]",
    "[lk_us]",
    "[rch_us]",
    "[rlk_us]",
    "[fth_us]",
    "[fur_us]",
    "[mi_us]",
    "[acr_us]",
    "[srd_us]",
    "[smi_us]",
    "[sct]",
    "[twp]",
    "[mil_us]",
    "[in_br]",
    "[ft_br]",
    "[rd_br]",
    "[ch_br]",
    "[lk_br]",
    "[fth_br]",
    "[pc_br]",
    "[yd_br]",
    "[mi_br]",
    "[nmi_br]",
    "[kn_br]",
    "[acr_br]",
    "[gal_us]",
    "[bbl_us]",
    "[qt_us]",
    "[pt_us]",
    "[gil_us]",
    "[foz_us]",
    "[fdr_us]",
    "[min_us]",
    "[crd_us]",
    "[bu_us]",
    "[gal_wi]",
    "[pk_us]",
    "[dqt_us]",
    "[dpt_us]",
    "[tbs_us]",
    "[tsp_us]",
    "[cup_us]",
    "[foz_m]",
    "[cup_m]",
    "[tsp_m]",
    "[tbs_m]",
    "[gal_br]",
    "[pk_br]",
    "[bu_br]",
    "[qt_br]",
    "[pt_br]",
    "[gil_br]",
    "[foz_br]",
    "[fdr_br]",
    "[min_br]",
    "[gr]",
    "[lb_av]",
    "[oz_av]",
    "[dr_av]",
    "[scwt_av]",
    "[lcwt_av]",
    "[ston_av]",
    "[lton_av]",
    "[stone_av]",
    "[pwt_tr]",
    "[oz_tr]",
    "[lb_tr]",
    "[sc_ap]",
    "[dr_ap]",
    "[oz_ap]",
    "[lb_ap]",
    "[oz_m]",
    "[lne]",
    "[pnt]",
    "[pca]",
    "[pied]",
    "[pouce]",
    "[ligne]",
    "[didot]",
    "[cicero]",
    "[degF]",
    "[degR]",
    "[Cal]",
    "[Btu_39]",
    "[Btu_59]",
    "[Btu_60]",
    "[Btu_m]",
    "[Btu_IT]",
    "[Btu_th]",
    "[Btu]",
    "[HP]",
    "[den]",
    "[in_i'H2O]",
    "[in_i'Hg]",
    "[PRU]",
    "[diop]",
    "[p'diop]",
    "%[slope]",
    "[mesh_i]",
    "[Ch]",
    "[drp]",
    "[MET]",
    "[hp'_X]",
    "[hp'_C]",
    "[hp'_M]",
    "[hp'_Q]",
    "[hp_X]",
    "[hp_C]",
    "[hp_M]",
    "[hp_Q]",
    "[kp_X]",
    "[kp_C]",
    "[kp_M]",
    "[kp_Q]",
    "[pH]",
    "[S]",
    "[HPF]",
    "[LPF]",
    "[arb'U]",
    "[USP'U]",
    "[GPL'U]",
    "[MPL'U]",
    "[APL'U]",
    "[beth'U]",
    "[anti'Xa'U]",
    "[todd'U]",
    "[dye'U]",
    "[smgy'U]",
    "[bdsk'U]",
    "[ka'U]",
    "[knk'U]",
    "[mclg'U]",
    "[tb'U]",
    "[CCID_50]",
    "[TCID_50]",
    "[EID_50]",
    "[Lf]",
    "[BAU]",
    "[AU]",
    "[Amb'a'1'U]",
    "[PNU]",
    "[D'ag'U]",
    "[FEU]",
    "[ELU]",
    "[EU]",
    "[lbf_av]",
    "[psi]",
    "circ",
    "sph",
    "[car_m]",
    "[car_Au]",
    "[smoot]",
    "bit_s",
    "b",
    "AU",
    "[hnsf'U]",
    "[CAE'U]",
    "[IR]",
    "[Bi]",
    "[ly]",
    "[APS'U]",
    "[AMB'a'1'U]",
    "[kn_i]",
    "[rlk_us]",
    "[bbl_us]",
    "[m/s2/Hz^(1/2)]",
    "[NTU]",
    "[FNU]",
    "Lmb",
];

const PREFIXES: &[&str] = &[
    "da", "Ki", "Mi", "Gi", "Ti", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u", "n", "p", "f", "a",
    "z", "y",
];

/// Longer units are not looked at.
const LENGTH_MAX: usize = 200;
const DEPTH_MAX: usize = 20;

/// Is it a unit? None where it is well-formed, but has an atom that is not known here.
pub fn is_unit(code: &str) -> Option<bool> {
    if code.is_empty() || LENGTH_MAX < code.len() || !code.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Some(false);
    }
    let mut parser = Parser { rest: code, unknown: false, depth: 0 };
    let well_formed = parser.main_term().is_some() && parser.rest.is_empty();
    if well_formed && parser.unknown { None } else { Some(well_formed) }
}

struct Parser<'c> {
    rest: &'c str,
    unknown: bool,
    depth: usize,
}

impl<'c> Parser<'c> {
    fn take(&mut self, text: char) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A term, which a solidus may open.
    fn main_term(&mut self) -> Option<()> {
        self.take('/');
        self.term()
    }

    fn term(&mut self) -> Option<()> {
        self.depth += 1;
        if DEPTH_MAX < self.depth {
            return None;
        }
        self.component()?;
        while self.take('.') || self.take('/') {
            self.component()?;
        }
        self.depth -= 1;
        Some(())
    }

    fn component(&mut self) -> Option<()> {
        if self.take('(') {
            self.main_term()?;
            return self.take(')').then_some(());
        }
        let annotated_only = self.annotation()?;
        if annotated_only {
            return Some(());
        }
        if self.factor() {
            return Some(());
        }
        self.simple_unit()?;
        self.annotation()?;
        Some(())
    }

    /// A number on its own: digits, but not `10*` or `10^`.
    fn factor(&mut self) -> bool {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || self.rest.starts_with("10*") || self.rest.starts_with("10^") {
            return false;
        }
        self.rest = &self.rest[digits..];
        true
    }

    /// `{words}`: true where there was one; nothing where it does not end.
    fn annotation(&mut self) -> Option<bool> {
        let Some(inner) = self.rest.strip_prefix('{') else { return Some(false) };
        let end = inner.find('}')?;
        if inner[..end].contains('{') {
            return None;
        }
        self.rest = &inner[end + 1..];
        Some(true)
    }

    fn simple_unit(&mut self) -> Option<()> {
        let (symbol, exponent) = split_exponent(&self.rest[..symbol_length(self.rest)]);
        if symbol.is_empty() {
            return None;
        }
        self.rest = &self.rest[symbol.len() + exponent.len()..];
        self.unknown |= !is_known(symbol);
        (!exponent.ends_with(['+', '-'])).then_some(())
    }
}

/// Up to an operator, a bracket or an annotation; square brackets hold anything.
fn symbol_length(text: &str) -> usize {
    let mut inside = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b' ' => return at,
            b'.' | b'/' | b'(' | b')' | b'{' | b'}' if !inside => return at,
            _ => {}
        }
    }
    if inside { 0 } else { text.len() }
}

/// The symbol, and its exponent with its sign.
fn split_exponent(text: &str) -> (&str, &str) {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let at = text.len() - digits;
    let at = if text[..at].ends_with(['+', '-']) { at - 1 } else { at };
    // The number 10 itself is a symbol only with its star or caret.
    text.split_at(at)
}

fn is_known(symbol: &str) -> bool {
    let prefixed = |prefix: &&str| symbol.strip_prefix(*prefix).is_some_and(|atom| METRIC.contains(&atom));
    METRIC.contains(&symbol) || PLAIN.contains(&symbol) || PREFIXES.iter().any(prefixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_units_are_known() {
        for good in [
            "kg",
            "mg",
            "cm",
            "mm[Hg]",
            "/min",
            "{score}",
            "1",
            "%",
            "kg/m2",
            "10*9/L",
            "10*-6.eq/mL",
            "mmol/L",
            "[degF]",
            "Cel",
            "umol/(24.h)",
            "mL/min/{1.73_m2}",
            "[iU]/L",
            "g.m/{beat}",
            "m/s2",
            "a",
            "mo",
            "ug/kg/h",
            "{INR}",
            "h",
            "/[HPF]",
            "kat/kg",
            "m[H2O]",
            "meq/L",
            "10^3/uL",
            "s-1",
            "{cells}",
            "ng/mL{FEU}",
            "[lb_av]",
            "min",
            "dB",
            "/(24.h)",
        ] {
            assert_eq!(is_unit(good), Some(true), "{good}");
        }
    }

    #[test]
    fn what_is_no_unit_is_told() {
        for bad in ["", "kg m", "kg/", "(kg", "kg)", "{open", "kg..m", "mm Hg", "10*-", "[open", "µg", "kg//m"] {
            assert_eq!(is_unit(bad), Some(false), "{bad}");
        }
    }

    #[test]
    fn an_unknown_atom_is_left_open() {
        for open in ["[foo'U]", "kilos", "IU", "mcg", "hours"] {
            assert_eq!(is_unit(open), None, "{open}");
        }
    }
}
