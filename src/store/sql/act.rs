//! What people do at the command line, and what is paused by it.

use super::fault::Fault;
use super::session::{Row, Session, values};
use crate::store::act::{Act, Deed, Direction, Pause};

/// Remembers it; what it pauses is paused from now on.
pub(in crate::store) fn write(conn: &dyn Session, act: &Act) -> Result<(), Fault> {
    if let Some((direction, paused)) = act.deed.pauses() {
        turn(conn, act, direction, paused)?;
    }
    conn.write(
        "INSERT INTO act (at, deed, subject, who, why) VALUES (?1, ?2, ?3, ?4, ?5)",
        values!(act.at, act.deed.as_str(), &act.of, &act.who, &act.why),
    )
}

fn turn(conn: &dyn Session, act: &Act, direction: Direction, paused: bool) -> Result<(), Fault> {
    const PAUSE: &str =
        "INSERT INTO pause (direction, name, since, who) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    const RESUME: &str = "DELETE FROM pause WHERE direction = ?1 AND name = ?2";
    let turned = if paused {
        conn.execute(PAUSE, values![direction.as_str(), &act.of, act.at, &act.who])?
    } else {
        conn.execute(RESUME, values![direction.as_str(), &act.of])?
    };
    match (turned, paused) {
        (0, true) => Err(Fault::Refused("it is paused already")),
        (0, false) => Err(Fault::Refused("it is not paused")),
        _ => Ok(()),
    }
}

/// What is paused.
pub(in crate::store) fn pauses(conn: &dyn Session) -> Result<Vec<Pause>, Fault> {
    let read = |row: &dyn Row| {
        let direction = if row.get::<String>(0)? == Direction::In.as_str() { Direction::In } else { Direction::Out };
        Ok(Pause { direction, name: row.get(1)?, since: row.get(2)?, who: row.get(3)? })
    };
    conn.all("SELECT direction, name, since, who FROM pause ORDER BY direction, name", &[], read)
}

/// What people did, newest first.
pub(in crate::store) fn list(conn: &dyn Session, limit: usize) -> Result<Vec<Act>, Fault> {
    let read = |row: &dyn Row| {
        let deed = Deed::named(&row.get::<String>(1)?).ok_or(Fault::Broken("a deed of no name that is known"))?;
        Ok(Act { at: row.get(0)?, deed, of: row.get(2)?, who: row.get(3)?, why: row.get(4)? })
    };
    conn.all("SELECT at, deed, subject, who, why FROM act ORDER BY seq DESC LIMIT ?1", values![limit], read)
}
