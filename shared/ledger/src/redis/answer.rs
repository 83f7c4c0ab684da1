//! What a script answers, taken apart.

use super::row::Damage;
use redis::Value;

pub(super) fn list(value: Value) -> Result<Vec<Value>, Damage> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(unexpected(&other, "a list")),
    }
}

pub(super) fn fixed<const N: usize>(value: Value) -> Result<[Value; N], Damage> {
    let items = list(value)?;
    let n = items.len();
    items
        .try_into()
        .map_err(|_| format!("the store answered {n} items where {N} belong"))
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, Damage> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        other => Err(unexpected(&other, "bytes")),
    }
}

pub(super) fn text(value: Value) -> Result<String, Damage> {
    String::from_utf8(bytes(value)?).map_err(|_| "the store answered bytes where text belongs".to_owned())
}

pub(super) fn number(value: &Value) -> Result<i64, Damage> {
    match value {
        Value::Int(n) => Ok(*n),
        other => Err(unexpected(other, "a number")),
    }
}

pub(super) fn version(value: &Value) -> Result<u64, Damage> {
    let n = number(value)?;
    u64::try_from(n).map_err(|_| format!("the store counts to {n}"))
}

fn unexpected(value: &Value, wanted: &str) -> Damage {
    let sort = match value {
        Value::Nil => "nothing",
        Value::Array(_) => "a list",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "bytes",
        _ => "something strange",
    };
    format!("the store answered {sort} where {wanted} belongs")
}
