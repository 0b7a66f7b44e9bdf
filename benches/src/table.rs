//! What was measured, as a Markdown table and as JSON.
