//! Maps written as lists of pairs: `[["explain", "define"], ["fly", "droll"]]`.
//!
//! For `#[serde(with = "ansar_runtime::pairs")]` on a field of a map type. Reads both
//! the list of pairs and the ordinary object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// Serializes anything that iterates over pairs as a list of pairs.
pub fn serialize<'m, M, K, V, S>(map: &'m M, serializer: S) -> Result<S::Ok, S::Error>
where
    &'m M: IntoIterator<Item = (&'m K, &'m V)>,
    K: Serialize + 'm,
    V: Serialize + 'm,
    S: Serializer,
{
    serializer.collect_seq(map)
}

/// Deserializes a list of pairs, or an object, into a collection of pairs.
pub fn deserialize<'de, M, K, V, D>(deserializer: D) -> Result<M, D::Error>
where
    M: FromIterator<(K, V)> + IntoIterator<Item = (K, V)>,
    K: DeserializeOwned,
    V: DeserializeOwned,
    D: Deserializer<'de>,
{
    struct Pairs<K, V>(PhantomData<(K, V)>);

    impl<'de, K: DeserializeOwned, V: DeserializeOwned> Visitor<'de> for Pairs<K, V> {
        type Value = Vec<(K, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of pairs, or a map")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = seq.next_element()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    let pairs = deserializer.deserialize_any(Pairs(PhantomData))?;
    Ok(pairs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    struct Words {
        #[serde(with = "crate::pairs")]
        words: BTreeMap<String, String>,
    }

    #[test]
    fn pairs_are_written_and_both_forms_are_read() {
        let words = Words {
            words: BTreeMap::from([("fly".into(), "droll".into())]),
        };
        let text = serde_json::to_string(&words).unwrap();
        assert_eq!(text, r#"{"words":[["fly","droll"]]}"#);
        let read = |text: &str| serde_json::from_str::<Words>(text).unwrap();
        assert_eq!(read(&text), words);
        assert_eq!(read(r#"{"words":{"fly":"droll"}}"#), words);
    }

    #[test]
    fn what_is_not_a_pair_is_refused() {
        for text in [r#"{"words":[["a"]]}"#, r#"{"words":7}"#, r#"{"words":[1]}"#] {
            assert!(serde_json::from_str::<Words>(text).is_err(), "{text}");
        }
    }
}
