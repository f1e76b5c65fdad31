//! What the calls that ask for several keys accept.

use crate::{Filter, Key, KeyError, Prefix, ReadError};

/// One or several filters, in any form that names keys: a text (`"app.>"`), a [`Key`], a [`Prefix`], a [`Filter`], or an
/// array or `Vec` of one of them.
///
/// ```
/// use kvconf::{Filter, IntoFilters, Prefix};
///
/// assert_eq!(["a", "b.>"].into_filters()?, [Filter::new("a")?, Filter::new("b.>")?]);
/// assert_eq!(Prefix::new("app")?.into_filters()?, [Filter::new("app.>")?]);
/// # Ok::<(), kvconf::KeyError>(())
/// ```
pub trait IntoFilters {
    /// The filters, in the order given.
    ///
    /// # Errors
    /// [`KeyError`] for the first text that is no filter.
    fn into_filters(self) -> Result<Vec<Filter>, KeyError>;
}

impl IntoFilters for &str {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Filter::new(self).map(|filter| vec![filter])
    }
}

impl IntoFilters for &String {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        self.as_str().into_filters()
    }
}

impl IntoFilters for String {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        self.as_str().into_filters()
    }
}

impl IntoFilters for Filter {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self])
    }
}

impl IntoFilters for &Filter {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self.clone()])
    }
}

impl IntoFilters for Key {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self.into()])
    }
}

impl IntoFilters for &Key {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self.into()])
    }
}

impl IntoFilters for Prefix {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self.into()])
    }
}

impl IntoFilters for &Prefix {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        Ok(vec![self.into()])
    }
}

impl<T: IntoFilters, const N: usize> IntoFilters for [T; N] {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        collect(self)
    }
}

impl<T: IntoFilters> IntoFilters for Vec<T> {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        collect(self)
    }
}

impl<T: IntoFilters + Clone> IntoFilters for &[T] {
    fn into_filters(self) -> Result<Vec<Filter>, KeyError> {
        collect(self.iter().cloned())
    }
}

fn collect<T: IntoFilters>(parts: impl IntoIterator<Item = T>) -> Result<Vec<Filter>, KeyError> {
    let filters: Vec<Vec<Filter>> = parts.into_iter().map(T::into_filters).collect::<Result<_, _>>()?;
    Ok(filters.concat())
}

/// Filters that no two of which ask for the same key, as servers want them: what another one covers is left out.
///
/// # Errors
/// [`ReadError::Name`] for no filter at all or one that is not valid; [`ReadError::Unsupported`] for two that overlap and
/// neither covers the other.
pub(crate) fn disjoint(filters: impl IntoFilters) -> Result<Vec<Filter>, ReadError> {
    let filters = filters.into_filters()?;
    if filters.is_empty() {
        return Err(ReadError::Name(KeyError::Empty));
    }
    let mut kept: Vec<Filter> = Vec::with_capacity(filters.len());
    for filter in filters {
        if kept.iter().any(|other| other.covers(&filter)) {
            continue;
        }
        kept.retain(|other| !filter.covers(other));
        if let Some(other) = kept.iter().find(|other| other.overlaps(&filter)) {
            return Err(ReadError::Unsupported {
                what: "asking with overlapping filters",
                reason: format!("some keys match both {other} and {filter}"),
            });
        }
        kept.push(filter);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(filters: impl IntoFilters) -> Result<String, String> {
        let filters = disjoint(filters).map_err(|error| error.to_string())?;
        Ok(filters.iter().map(Filter::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_filter_that_another_covers_is_left_out() {
        assert_eq!(texts(["a.b", "c", "a.>", "a.b.c"]), Ok("c a.>".to_owned()));
        assert_eq!(texts(["a", "a"]), Ok("a".to_owned()));
        assert_eq!(texts(["a.b", ">"]), Ok(">".to_owned()));
    }

    #[test]
    fn filters_that_cross_are_refused() {
        assert_eq!(
            texts(["a.*", "*.b"]),
            Err("asking with overlapping filters is not supported: some keys match both a.* and *.b"
                .to_owned())
        );
        assert_eq!(texts(Vec::<Filter>::new()), Err("invalid name".to_owned()));
    }
}
