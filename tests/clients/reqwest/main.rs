//! Creates a user status, reads it, changes it and removes it, with reqwest.

use serde_json::{Value, json};

const TYPE: &str = "#microsoft.graph.deviceConfigurationUserStatus";

/// Its work, with the configuration that it is about.
pub async fn main(configuration: &str) -> Result<(), Box<dyn std::error::Error>> {
    let graph = std::env::var("GRAPH_URL").unwrap_or_else(|_| "https://graph.microsoft.com".to_owned());
    let statuses = format!("{graph}/beta/deviceManagement/deviceConfigurations/{configuration}/userStatuses");
    let created = ask(
        "POST",
        &statuses,
        Some(json!({
            "@odata.type": TYPE,
            "userDisplayName": "Måns \"42\" Ångström",
            "devicesCount": 12,
            "status": "compliant",
            "lastReportedDateTime": "2026-11-24T10:00:00Z",
        })),
    )
    .await?;
    let id = created["id"].as_str().ok_or("no id")?;
    let url = format!("{statuses}/{id}");
    println!("POST {id} {}", told(&created));
    println!("GET {}", told(&ask("GET", &url, None).await?));
    println!("PATCH {}", told(&ask("PATCH", &url, Some(json!({ "@odata.type": TYPE, "status": "conflict" }))).await?));
    ask("DELETE", &url, None).await?;
    println!("DELETE");
    Ok(())
}

async fn ask(method: &str, url: &str, entity: Option<Value>) -> Result<Value, Box<dyn std::error::Error>> {
    let token = std::env::var("GRAPH_TOKEN").unwrap_or_else(|_| "no-token".to_owned());
    let mut request = reqwest::Client::builder().build()?.request(method.parse()?, url).bearer_auth(token);
    if let Some(entity) = entity {
        request = request.header("content-type", "application/json").body(entity.to_string());
    }
    let text = request.send().await?.error_for_status()?.text().await?;
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}

fn told(entity: &Value) -> String {
    let member = |name: &str| entity[name].as_str().unwrap_or_default().replace('"', "");
    format!("{} {}", member("userDisplayName"), member("status"))
}
