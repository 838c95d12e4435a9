//! The read model as a projection sees it: six plain functions, and typed documents above them.
//!
//! Nothing is cached here: the host keeps the changes of a batch in memory and serves reads from them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// The read model of this deployment: collections of JSON documents, by key.
///
/// Reads see the changes that earlier events and this event have made. The functions here are those of
/// the contract, word for word; the typed ones (`get`, `put`, `update`, ...) are on
/// [`dyn ReadModel`](#impl-dyn+ReadModel+'_), and are what a projection normally uses.
///
/// A call that breaks a bound (text that is not JSON, a key that is too long) does not return: it ends
/// the handler call, and the event has failed.
pub trait ReadModel {
    /// The document's text, or none.
    fn get_text(&mut self, collection: &str, key: &str) -> Option<String>;

    /// Many documents at once, in the order of the keys; at most 1,000.
    fn get_many_text(&mut self, collection: &str, keys: &[String]) -> Vec<Option<String>>;

    /// Writes a whole document: JSON text of at most 1 MiB.
    fn put_text(&mut self, collection: &str, key: &str, document: &str);

    /// Removes a document. It is no error if there is none.
    fn delete(&mut self, collection: &str, key: &str);

    /// Documents whose key starts with `prefix` and sorts after `after` (by bytes), in key order; at
    /// most `limit`, and at most 1,000.
    fn scan_text(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Vec<(String, String)>;

    /// Adds to a whole-number field at the top of a document. A missing document becomes an object, a
    /// missing field 0. It needs no read and never conflicts with other workers.
    fn increment(&mut self, collection: &str, key: &str, field: &str, by: i64);
}

impl dyn ReadModel + '_ {
    /// The document, or none.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when the stored document does not fit `T`.
    pub fn get<T: DeserializeOwned>(&mut self, collection: &str, key: &str) -> Result<Option<T>, Failure> {
        self.get_text(collection, key).map(|text| decode(collection, key, &text)).transpose()
    }

    /// Many documents at once, in the order of the keys: one round trip at most. At most 1,000.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when a stored document does not fit `T`.
    pub fn get_many<T: DeserializeOwned>(
        &mut self,
        collection: &str,
        keys: &[String],
    ) -> Result<Vec<Option<T>>, Failure> {
        let texts = self.get_many_text(collection, keys);
        let documents = texts.iter().zip(keys);
        documents
            .map(|(text, key)| text.as_deref().map(|text| decode(collection, key, text)).transpose())
            .collect()
    }

    /// Writes a whole document.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when the value has no JSON form, such as a map whose keys are not strings.
    pub fn put<T: Serialize + ?Sized>(
        &mut self,
        collection: &str,
        key: &str,
        document: &T,
    ) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(|error| {
            Failure::reject(format!("document {collection}/{key} has no JSON form: {error}"))
        })?;
        self.put_text(collection, key, &text);
        Ok(())
    }

    /// Changes a document that must be there, and gives back what `change` returns.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when there is no document, or when it does not fit `T`.
    pub fn update<T: Serialize + DeserializeOwned, R>(
        &mut self,
        collection: &str,
        key: &str,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Failure> {
        let Some(mut document) = self.get::<T>(collection, key)? else {
            return Err(Failure::reject(format!("there is no document {collection}/{key} to change")));
        };
        let result = change(&mut document);
        self.put(collection, key, &document)?;
        Ok(result)
    }

    /// Changes a document, which begins as `T::default()` when there is none, and gives back what
    /// `change` returns.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when the stored document does not fit `T`.
    pub fn upsert<T: Serialize + DeserializeOwned + Default, R>(
        &mut self,
        collection: &str,
        key: &str,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Failure> {
        let mut document = self.get::<T>(collection, key)?.unwrap_or_default();
        let result = change(&mut document);
        self.put(collection, key, &document)?;
        Ok(result)
    }

    /// Documents whose key starts with `prefix` and sorts after `after` (by bytes), in key order; at
    /// most `limit`, and at most 1,000.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when a stored document does not fit `T`.
    pub fn scan<T: DeserializeOwned>(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, T)>, Failure> {
        let rows = self.scan_text(collection, after, prefix, limit).into_iter();
        rows.map(|(key, text)| decode(collection, &key, &text).map(|document| (key, document))).collect()
    }
}

fn decode<T: DeserializeOwned>(collection: &str, key: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::reject(format!(
            "document {collection}/{key} does not fit {}: {error}",
            std::any::type_name::<T>()
        ))
    })
}
