//! The settings, each with its default.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::message::Format;
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;

/// A language model as a handler. The `handler` table of a bot's configuration with `kind = "llm"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// The models, in the order in which they are asked.
    pub models: Vec<ModelConfig>,
    /// The template of the system prompt.
    pub prompt: String,
    /// What the prompt says of this bot besides: a text, and no template.
    pub instructions: String,
    /// The template of what the customer is told when no model answers.
    pub canned_reply: String,
    /// How much of the history the model is given, in tokens.
    pub history_tokens: usize,
    /// How long the summary of what no longer fits into that may be, in tokens; 0: what does not fit is left out.
    pub summary_tokens: u32,
    /// The template by which a model makes one.
    pub summary_prompt: String,
    /// How long an answer may be, in tokens. One that is cut off there is gone on with, once.
    pub max_tokens: u32,
    /// What the model may call.
    pub tools: Vec<ToolConfig>,
    /// Servers of tools, by the Model Context Protocol.
    pub mcp: Vec<McpConfig>,
    /// How often a model may call tools before it has to answer; several calls at once are one time.
    pub max_steps: usize,
    /// How models write. Markdown becomes WhatsApp's way of writing, or words without marks where the upstream shows
    /// none.
    pub format: Format,
    /// How long a reply may be, in characters; a longer one is cut where a sentence or a word ends. 0: as long as it
    /// is.
    pub max_reply: usize,
    /// Where links in a reply may lead: hosts, or `*.` and a domain, with a port if it is not the usual one. Everything
    /// else that a chat client may make a link of is taken out. If empty, nothing is.
    pub links: Vec<String>,
    /// After so many canned replies in a row a person takes over; 0: nobody does.
    pub handover_after: usize,
    /// For how long models are asked again that failed in a way that may pass, from where none of them has answered on,
    /// and within the turn's time. Zero: the canned reply comes at once.
    #[serde(with = "in_words")]
    pub retry_for: Duration,
    /// How much may be spent.
    pub budget: BudgetConfig,
    /// Whether the model is given the customer's images: the eight newest of a turn.
    pub images: bool,
    /// The time zone of the prompt's date, by its IANA name.
    pub time_zone: String,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            prompt: "prompts/default.txt".into(),
            instructions: String::new(),
            canned_reply: "replies/unavailable.txt".into(),
            history_tokens: 2000,
            summary_tokens: 300,
            summary_prompt: "prompts/summary.txt".into(),
            max_tokens: 800,
            tools: Vec::new(),
            mcp: Vec::new(),
            max_steps: 5,
            format: Format::Markdown,
            max_reply: 4000,
            links: Vec::new(),
            handover_after: 0,
            retry_for: Duration::from_secs(30),
            budget: BudgetConfig::default(),
            images: true,
            time_zone: "UTC".into(),
        }
    }
}

/// One model behind one address.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The address that `/chat/completions` is added to, unless its path ends so already. A query stays behind the
    /// path.
    pub base_url: String,
    /// Whether the address may be plain http on another machine: for a model in a network of one's own.
    pub plain_http: bool,
    /// The model's name there.
    pub model: String,
    /// The key, if the address wants one.
    pub api_key: Option<SecretRef>,
    /// The header that the key stands in, alone. Empty: `authorization`, as a bearer token, or `api-key` where the
    /// address has an `api-version` in its query, as Azure's have.
    pub key_header: String,
    /// How the longest answer is called.
    pub token_parameter: TokenParameter,
    /// Whether the model can be shown images. One that refuses them is not shown any, either way.
    pub vision: bool,
    /// Fields that are added to each request, such as `temperature`.
    pub body: serde_json::Map<String, Value>,
    /// How long the whole of an answer may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How long nothing of an answer may come: before its beginning, and between two pieces. A comment is a piece, too.
    #[serde(with = "in_words")]
    pub stall: Duration,
    /// What a million tokens cost that it reads, in whatever money the budget is in.
    pub input_price: f64,
    /// What a million tokens cost that it writes.
    pub output_price: f64,
    /// What the budget takes an image for, in tokens, before the model says what it was.
    pub image_tokens: u64,
}

/// The address may hold credentials.
impl fmt::Debug for ModelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelConfig({})", self.model)
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            plain_http: false,
            model: "gpt-4o-mini".into(),
            api_key: None,
            key_header: String::new(),
            token_parameter: TokenParameter::Auto,
            vision: true,
            body: serde_json::Map::new(),
            timeout: Duration::from_secs(40),
            stall: Duration::from_secs(15),
            input_price: 0.0,
            output_price: 0.0,
            image_tokens: 1500,
        }
    }
}

/// The field of a request that says how long an answer may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenParameter {
    /// `max_tokens`, and the other name once a server has refused it.
    #[default]
    Auto,
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// How much may be spent in a day, from midnight to midnight in the handler's time zone. Zero: as much as it takes.
///
/// What a call may cost is set aside before it is made, and what it did cost is counted after: however many turns go on
/// at the same time, no limit is passed, and no restart forgets what was spent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// Tokens, read and written, of one contact.
    pub contact_tokens: u64,
    /// Tokens of all the bot's contacts together.
    pub bot_tokens: u64,
    /// Money of one contact, by the models' prices.
    pub contact_money: f64,
    /// Money of all the bot's contacts together.
    pub bot_money: f64,
    /// The template of what a customer is told whose turn is over a limit.
    pub reply: String,
    /// Whether that is said every time. Else once a day, and then there is silence.
    pub every_time: bool,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        let reply = "replies/limit.txt".into();
        Self { contact_tokens: 0, bot_tokens: 0, contact_money: 0.0, bot_money: 0.0, reply, every_time: false }
    }
}

/// A tool: a function over HTTP that the model may call.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolConfig {
    /// What the model calls it: up to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON schema of its arguments, as a table, as JSON text, or as "file:PATH". Arguments that do not fit it
    /// never reach the tool.
    pub parameters: Value,
    /// Where calls are posted.
    pub url: String,
    /// What they are signed with: `whsec_` and 24 to 64 bytes in base64. Unsigned without one.
    pub secret: Option<SecretRef>,
    /// How long one call may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// Whether the address may be on this machine or in its network, and in plain http. Else it is https, and public.
    pub private: bool,
    /// How long an answer may be, in bytes; a longer one is thrown away.
    pub answer_limit: u64,
    /// What its answers may ask of the turn. Nothing, unless it stands here: what a tool answers may be anybody's
    /// words.
    pub may: Vec<ToolPermission>,
}

/// What the answers of a tool may ask of the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolPermission {
    /// That the dots go off for a moment.
    Beat,
    /// That a person takes over.
    Handover,
}

/// The address may hold credentials.
impl fmt::Debug for ToolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolConfig({})", self.name)
    }
}

impl Default for ToolConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            parameters: json!({ "type": "object", "properties": {} }),
            url: String::new(),
            secret: None,
            timeout: Duration::from_secs(10),
            private: false,
            answer_limit: 16 << 10,
            may: Vec::new(),
        }
    }
}

/// An MCP server, over streamable HTTP or as a process of ours: the model may call its tools.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McpConfig {
    /// What the names of its tools begin with, for the model: letters, digits, `_` and `-`.
    pub name: String,
    /// Where it is; empty if it is a process.
    pub url: String,
    /// The program that it is, as a path or by a name in `PATH`; empty if it has an address.
    pub command: String,
    /// What the program is given on its command line. Others on this machine can see it: secrets belong into `env`.
    pub args: Vec<String>,
    /// Its environment, besides `PATH`, `HOME` and `LANG`: nothing else of ours is passed on. A value that begins with
    /// `env:` or `file:` is the place of a secret.
    pub env: BTreeMap<String, String>,
    /// A bearer token, if its address wants one.
    pub token: Option<SecretRef>,
    /// Which of its tools the model may call, by the server's names; all of them if empty.
    pub tools: Vec<String>,
    /// How long listing its tools, or one call, may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How long a turn waits for the first list of its tools; once there is one, no turn waits.
    #[serde(with = "in_words")]
    pub list_wait: Duration,
    /// How long its list of tools is taken to be right.
    #[serde(with = "in_words")]
    pub refresh: Duration,
    /// Whether the address may be on this machine or in its network, and in plain http. Else it is https, and public.
    pub private: bool,
    /// How long a result may be, in bytes; a longer one is thrown away, and a longer error cut.
    pub answer_limit: u64,
    /// What its results may ask of the turn, in their `_meta`.
    pub may: Vec<ToolPermission>,
}

/// The address may hold credentials.
impl fmt::Debug for McpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "McpConfig({})", self.name)
    }
}

impl Default for McpConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            command: String::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            token: None,
            tools: Vec::new(),
            timeout: Duration::from_secs(10),
            list_wait: Duration::from_secs(2),
            refresh: Duration::from_secs(600),
            private: false,
            answer_limit: 16 << 10,
            may: Vec::new(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its key in the handler's table.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Unusable {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}
