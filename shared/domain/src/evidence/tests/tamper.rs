//! Whatever is changed is found and named.
