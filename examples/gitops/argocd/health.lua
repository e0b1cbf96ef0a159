-- Health of Atoll's kinds for Argo CD: one script for all of them; argocd-cm.yaml names it for each kind.
-- Reasons are those of docs/troubleshooting.md. What is not listed here and is not Ready is Degraded.
local passing = {
  ["Planning"] = true,
  ["AwaitingSignal"] = true,
  ["ReplicasStarting"] = true,
  ["ReplicasPending"] = true,
  ["SchedulingGated"] = true,
  ["RouterNotSynced"] = true,
  ["SolverTimeout"] = true,
  ["ApiUnavailable"] = true,
}
local waiting = { ["AwaitingApproval"] = true, ["Paused"] = true }

local function told(status, message)
  return { status = status, message = message }
end

if obj.kind == "FleetPlan" and obj.spec ~= nil and obj.spec.shard ~= nil then
  return told("Healthy", "continues FleetPlan " .. (obj.spec.shard.of or ""))
end
if obj.status == nil or obj.status.conditions == nil then
  return told("Progressing", "waits for the operator")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return told("Progressing", "waits for the operator to look at this generation")
end
if obj.kind == "FleetPlan" then
  local phase = obj.status.phase
  if phase == "Completed" or phase == "Superseded" then
    return told("Healthy", phase)
  elseif phase == "Moving" then
    return told("Progressing", "is being carried out")
  end
  return told("Suspended", "waits for spec.approved")
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    local message = (condition.reason or "") .. ": " .. (condition.message or "")
    if condition.status == "True" then
      return told("Healthy", message)
    elseif condition.status ~= "False" or passing[condition.reason] then
      return told("Progressing", message)
    elseif waiting[condition.reason] then
      return told("Suspended", message)
    end
    return told("Degraded", message)
  end
end
return told("Progressing", "waits for the operator")
