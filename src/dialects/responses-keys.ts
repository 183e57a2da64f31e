/** The keys a Responses request and its answer are known to have, and the values the API itself fixes. */
import { knownKeys } from './known-keys.ts'

export const REQUEST_TOP = knownKeys(`
  access_programs background context_management conversation image include input instructions max_output_tokens
  max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key
  prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
  temperature text tool_choice tools top_logprobs top_p truncation user frequency_penalty presence_penalty seed n
  verbosity client_metadata
`)

export const REQUEST_ITEM = knownKeys(`
  type id role content status phase call_id name arguments input output namespace caller async summary
  encrypted_content action actions operation environment queries results result outputs code container_id
  pending_safety_checks acknowledged_safety_checks server_label tools error approval_request_id approve reason
  execution revised_prompt fingerprint signet created_by max_output_length background size quality output_format
  text reasoning svg_usage
`)

export const REQUEST_PART = knownKeys(`
  type text refusal image_url file_id detail file_data file_url filename input_audio annotations logprobs
  prompt_cache_breakpoint transcript data format
`)

export const REQUEST_TOOL = knownKeys(`
  type name description parameters strict format tools server_label server_url server_description connector_id
  allowed_tools allowed_callers authorization headers require_approval defer_loading tunnel_id container
  vector_store_ids filters max_num_results ranking_options environment display_width display_height
  search_context_size user_location external_web_access execution output_schema async action background
  complexity frame_count frame_duration_ms input_fidelity input_image_mask model moderation output_compression
  output_format partial_images quality size svg search_content_types function
`)

/** Keys further inside that say nothing by themselves. */
export const REQUEST_INNER = knownKeys(`
  type text url detail mode id version variables format schema name strict description effort summary verbosity
  generate_summary include_obfuscation ttl policy input output message code title start_index end_index index
  filename file_id container_id image_url file_url file_data annotations logprobs token bytes logprob top_logprobs
  data format command commands env working_directory timeout_ms user path diff query queries sources x y button
  keys scroll_x scroll_y stdout stderr outcome exit_code status logs score attributes caller_id compact_threshold
  tools server_label input_schema max_output_length prompt_cache_breakpoint category context grammar definition
  syntax
`)

/** JSON Schema vocabulary and tool settings: keys that are not the author's own words. */
export const REQUEST_SCHEMA = knownKeys(`
  type properties required items description enum const default title format pattern minimum maximum minLength
  maxLength minItems maxItems additionalProperties anyOf oneOf allOf not $ref $defs $schema $id definitions examples
  nullable exclusiveMinimum exclusiveMaximum multipleOf uniqueItems name parameters strict schema json_schema
  function custom grammar definition syntax verbosity tools tool_names always never read_only city country region
  timezone approximate allowed_domains blocked_domains filters key value file_ids memory_limit network_policy
  domain_secrets domain ranker score_threshold hybrid_search embedding_weight text_weight image_url file_id
  server_label skills path environment container_id skill_id version source media_type data output_schema
`)

export const ANSWER_RESPONSE = knownKeys(`
  id object access_programs output_text created_at error incomplete_details instructions metadata model output
  parallel_tool_calls temperature tool_choice tools top_p background billing completed_at conversation image
  input_transformations max_output_tokens max_tool_calls moderation previous_response_id prompt
  prompt_cache_diagnostics prompt_cache_key prompt_cache_options prompt_cache_retention reasoning
  safety_identifier service_tier status store text tool_usage top_logprobs truncation usage user
  frequency_penalty presence_penalty signet signet_abort
`)

/** Keys inside events, items and parts that say nothing by themselves. */
export const ANSWER_COMMON = knownKeys(`
  type sequence_number item_id output_index content_index summary_index annotation_index command_index response item
  part delta text refusal arguments input code name logprobs obfuscation annotation annotations id status role
  content summary call_id action actions operation output outputs result results queries query encrypted_content
  namespace caller async environment container_id server_label tools error pending_safety_checks phase reason
  message param execution url title start_index end_index index filename file_id token bytes logprob top_logprobs
  input_tokens output_tokens total_tokens input_tokens_details output_tokens_details cached_tokens
  cache_write_tokens cache_write_tokens_details reasoning_tokens command commands partial_image_b64
  partial_image_index output_format quality size background revised_prompt stdout stderr outcome exit_code created_by
  logs attributes score sources transcript data output_text created_at model object incomplete_details usage
  approval_request_id fingerprint signet tool_output_tokens audio_tokens text_tokens image_tokens
`)

/** Values the API itself fixes: they need no inspection. Any other value in these fields is text (enumerations age). */
export const FIXED = new Set([
  'response',
  'assistant',
  'in_progress',
  'completed',
  'incomplete',
  'failed',
  'cancelled',
  'queued',
  'searching',
  'generating',
  'interpreting',
  'calling',
  'commentary',
  'final_answer',
  'client',
  'server',
  'local',
  'direct',
  'program',
  'exec',
  'auto',
  'default',
  'output_text',
  'refusal',
  'reasoning_text',
  'summary_text',
  'message',
  'reasoning',
  'function_call',
  'custom_tool_call',
  'computer_call',
  'local_shell_call',
  'shell_call',
  'shell_call_output',
  'apply_patch_call',
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'mcp_call',
  'mcp_list_tools',
  'mcp_approval_request',
  'tool_search_call',
  'tool_search_output',
  'compaction',
  'program_output',
  'error',
  'keepalive',
])

/** The names of items and content parts of a request, which need no inspection there. */
export const REQUEST_TYPES = new Set([
  ...FIXED,
  'input_text',
  'input_image',
  'input_file',
  'input_audio',
  'text',
  'computer_screenshot',
  'computer_call_output',
  'function_call_output',
  'custom_tool_call_output',
  'local_shell_call_output',
  'apply_patch_call_output',
  'mcp_approval_response',
  'additional_tools',
  'configuration_update',
  'compaction_trigger',
  'item_reference',
])
