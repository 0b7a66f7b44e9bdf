//! Cassettes of any size, written as the deck writes them.

use crate::Fault;
use crate::arguments::Arguments;
use crate::workload::{HOST, PATH, RECORDED_CONFIGURATION, RECORDED_STATUS, guid, members};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub(crate) fn command(arguments: &Arguments) -> Result<(), Fault> {
    write(arguments.needed("users")?, Path::new(arguments.text("out").ok_or("--out is missing")?))
}

/// Writes a cassette with one POST for each of `users` users, each under a configuration of its own.
pub(crate) fn write(users: u64, path: &Path) -> Result<(), Fault> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"{\n  \"graphdeck\": 1,\n  \"ids\": {\n")?;
    for (name, kind, last) in
        [("deviceConfigurations", RECORDED_CONFIGURATION, false), ("userStatuses", RECORDED_STATUS, true)]
    {
        for n in 0..users {
            let end = if last && n + 1 == users { "" } else { "," };
            let guid = guid(kind, n);
            writeln!(out, "    \"{name}.{}\": \"{}\"{end}", n + 1, text(&guid))?;
        }
    }
    out.write_all(b"  },\n  \"exchanges\": [\n")?;
    for n in 0..users {
        exchange(&mut out, n)?;
        out.write_all(if n + 1 == users { b"\n" } else { b",\n" })?;
    }
    out.write_all(b"  ]\n}\n")?;
    out.flush()?;
    Ok(())
}

fn text(guid: &[u8; 36]) -> &str {
    std::str::from_utf8(guid).expect("a GUID is text")
}

fn exchange(out: &mut impl Write, n: u64) -> io::Result<()> {
    let url = format!("https://{HOST}{PATH}{{{{deviceConfigurations.{}}}}}/userStatuses", n + 1);
    let id = format!("{{{{userStatuses.{}}}}}", n + 1);
    let member = |(name, value): &(&str, String)| format!("            \"{name}\": {value}");
    let mut asked: Vec<String> = members(n).iter().map(member).collect();
    let request = asked.join(",\n");
    asked.insert(1, format!("            \"id\": \"{id}\""));
    let response = asked.join(",\n");
    write!(
        out,
        r#"    {{
      "request": {{
        "method": "POST",
        "url": "{url}",
        "headers": {{
          "accept": "*/*",
          "content-type": "application/json"
        }},
        "body": {{
          "json": {{
{request}
          }}
        }}
      }},
      "response": {{
        "status": 201,
        "headers": {{
          "cache-control": "no-cache",
          "content-type": "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8",
          "location": "{url}('{id}')",
          "odata-version": "4.0",
          "strict-transport-security": "max-age=31536000",
          "vary": "Accept-Encoding"
        }},
        "body": {{
          "json": {{
{response}
          }}
        }}
      }}
    }}"#
    )
}
